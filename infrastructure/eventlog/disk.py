"""The system calls that make data durable, in one place so that fault tests can fail them."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CANNOT_RESERVE: Final = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_MAX_VECTORS: Final = 512
SPARE_BYTES: Final = 16 * 1024 * 1024


class DiskFull(OSError):
    """There is no space to go on; nothing that was written before is in doubt."""


class Disk:
    """Writes and flushes; a fault test passes a subclass that fails."""

    def write(self, fd: int, data: Sequence[bytes], offset: int) -> None:
        """Write all of it at the offset.

        Raises:
            OSError: some of it may be written.
        """
        pending = [memoryview(part) for part in data if part]
        while pending:
            written = os.pwritev(fd, pending[:_MAX_VECTORS], offset)
            offset += written
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if written:
                pending[0] = pending[0][written:]

    def flush(self, fd: int) -> None:
        """Return when everything written is on disk (fdatasync).

        Raises:
            OSError: nobody knows what is on disk; the descriptor must not be used again
                (https://wiki.postgresql.org/wiki/Fsync_Errors).
        """
        os.fdatasync(fd)

    def reserve(self, fd: int, offset: int, length: int) -> None:
        """Reserve space: flushing needs no change of the file's metadata then, and a full disk
        shows before anything is written.

        `SPARE_BYTES` stay free beyond it. A log that is read-only for want of space must still be
        able to seal its segments, write its index and start again.

        Raises:
            DiskFull: the space is not there; none of it was taken.
            OSError: another failure.
        """
        _require_free(fd, length + SPARE_BYTES)
        size = os.fstat(fd).st_size
        try:
            os.posix_fallocate(fd, offset, length)
        except OSError as error:
            if is_full(error):
                # ext4 keeps what it got before it found no more, and the disk is full indeed.
                os.ftruncate(fd, size)
                raise DiskFull(error.errno, error.strerror) from error
            if error.errno not in _CANNOT_RESERVE:
                raise


def _require_free(fd: int, size: int) -> None:
    free = os.fstatvfs(fd)
    if free.f_bavail * free.f_frsize < size:
        raise DiskFull(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_full(error: OSError) -> bool:
    """Whether the error says that the disk is full, or that a quota or limit is reached."""
    return error.errno in _FULL


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
