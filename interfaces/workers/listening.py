"""The listening socket of a web role behind gateways."""

import os
import socket
from pathlib import Path


def unix_listener(path: Path) -> socket.socket:
    """A socket at a path that only this user can connect to; one that was left there is replaced.

    Raises:
        OSError: the path can't be bound.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Not chmod behind bind: whoever connected in between would stay connected.
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener
