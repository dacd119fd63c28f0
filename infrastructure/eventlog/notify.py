"""Wake-ups when a small file is written, by inotify(7); polling where the system has none."""

import ctypes
import os
import select
import threading
from pathlib import Path
from typing import Final

_IN_MODIFY: Final = 0x00000002
_POLL_S: Final = 0.02
_LONGEST_WAIT_S: Final = 1.0
"""Some file systems (NFS, shared folders of virtual machines) never notify: look again anyway."""


class FileWatch:
    """Becomes readable when the file is modified."""

    def __init__(self, path: Path, *, inotify: bool = True) -> None:
        self._fd = _inotify(path) if inotify else -1
        self._poller: _Poller | None = None
        if self._fd < 0:
            # No inotify: another system, or its instances are used up.
            self._poller = _Poller(path)
            self._fd = self._poller.fd

    def fileno(self) -> int:
        """Descriptor for event loops."""
        return self._fd

    def wait(self, timeout_s: float) -> None:
        """Return after a modification or the time (at most a second), whichever is first."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if poller.poll(min(max(0.0, timeout_s), _LONGEST_WAIT_S) * 1000):
            self.drain()

    def drain(self) -> None:
        """Consume what made it readable."""
        try:
            os.read(self._fd, 65536)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Release descriptors."""
        if self._poller is not None:
            self._poller.close()
        os.close(self._fd)


class _Poller:
    """Compares the file with what it was, 50 times a second, and writes into a pipe."""

    def __init__(self, path: Path) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self._path = path
        self._closing = threading.Event()
        self._content = path.read_bytes()
        self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        os.close(self._write_fd)

    def _run(self) -> None:
        while not self._closing.wait(_POLL_S):
            content = self._path.read_bytes()
            if content != self._content:
                self._content = content
                try:
                    os.write(self._write_fd, b"x")
                except BlockingIOError:
                    continue  # full of wake-ups that nobody has read yet


def _inotify(path: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return -1
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        return -1
    if libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(fd)
        return -1
    return fd
