"""Metrics across processes: each role answers on a socket of its own, one scrape gathers all."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 1.0
_PREFIX: Final = "metrics-"


class MetricsServer:
    """Writes the role's metrics to whoever connects, from a thread of its own."""

    def __init__(self, directory: Path, role: str, render: Callable[[], bytes]) -> None:
        self._path = directory / f"{_PREFIX}{role}.sock"
        self._render = render
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def start(self) -> None:
        """Listen; a socket file that a killed role left is replaced."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen(8)
        threading.Thread(target=self._serve, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop to listen."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_TIMEOUT_S)
                connection.sendall(self._render())


def gather(directory: Path) -> bytes:
    """Metrics of all roles that answer; a role that does not is simply absent.

    Blocking: call it in a thread.
    """
    parts: list[bytes] = []
    for path in sorted(directory.glob(f"{_PREFIX}*.sock")):
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer,
            contextlib.suppress(OSError),
        ):
            peer.settimeout(_TIMEOUT_S)
            peer.connect(str(path))
            chunks: list[bytes] = []
            while chunk := peer.recv(65536):
                chunks.append(chunk)
            parts.append(b"".join(chunks))
    return b"".join(parts)
