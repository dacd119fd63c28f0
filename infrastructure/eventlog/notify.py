"""Wake-ups when a file is written, by inotify(7); polling where the system has none."""

import ctypes
import os
import select
from pathlib import Path
from typing import Final

_IN_MODIFY: Final = 0x00000002
_POLL_S: Final = 0.02


class FileWatch:
    """Becomes readable when the file is modified."""

    def __init__(self, path: Path) -> None:
        self._fd = _inotify(path)
        self._event_fd = -1
        if self._fd < 0:
            # No inotify (another system, or its instances are used up): a pipe that never
            # becomes readable, and `wait` returns after a short time.
            self._fd, self._event_fd = os.pipe()

    @property
    def polls(self) -> bool:
        """There is no inotify: ask every 20 ms instead of waiting."""
        return self._event_fd >= 0

    def fileno(self) -> int:
        """Descriptor for event loops."""
        return self._fd

    def wait(self, timeout_s: float) -> None:
        """Return after a modification or the time, whichever is first."""
        timeout_s = min(timeout_s, _POLL_S) if self.polls else timeout_s
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if poller.poll(max(0.0, timeout_s) * 1000):
            self.drain()

    def drain(self) -> None:
        """Consume what made it readable."""
        try:
            os.read(self._fd, 65536)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Release descriptors."""
        os.close(self._fd)
        if self._event_fd >= 0:
            os.close(self._event_fd)


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
