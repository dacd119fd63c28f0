"""The system calls that make data durable, in one place so that fault tests can fail them."""

import os
from collections.abc import Sequence


class Disk:
    """Writes and flushes; a fault test passes a subclass that fails."""

    def write(self, fd: int, data: Sequence[bytes], offset: int) -> None:
        """Write all of it at the offset.

        Raises:
            OSError: some of it may be written.
        """
        pending = [memoryview(part) for part in data if part]
        while pending:
            written = os.pwritev(fd, pending[:512], offset)
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
        """Reserve space, so that flushing needs no change of the file's metadata.

        Raises:
            OSError: for example, the disk is full.
        """
        os.posix_fallocate(fd, offset, length)
