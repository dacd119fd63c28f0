"""Directories and secrets that nobody else on the machine can read or replace."""

import os
import stat
from pathlib import Path

from domain.errors import InvalidInput


def make_private(directory: Path) -> Path:
    """Make a directory for sockets, or check the one that is there.

    Raises:
        InvalidInput: it is somebody else's, or others may write into it: under /tmp somebody may
            have been there first, waiting for our connections.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise InvalidInput(f"{directory} must be a directory of ours that only we can write.")
    return directory


def read_or_make_secret(path: Path, new: str) -> bytes:
    """The secret in a file (mode 0600); if there is none, `new` becomes it, whole or not at all.

    Raises:
        InvalidInput: the file is empty.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new.encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # and not a rename: the first one counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """The secret in a file.

    Raises:
        FileNotFoundError: there is none.
        InvalidInput: the file is empty: everybody knows that key.
    """
    secret = path.read_bytes().strip()
    if not secret:
        raise InvalidInput(f"{path} is empty; remove it, and the next start makes a new one.")
    return secret
