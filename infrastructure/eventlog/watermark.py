"""The durable watermark: how far the log is on disk, told to readers in other processes.

It is an upper bound for readers and no more: recovery never trusts it, positions come from
scanning frames. The writer's pwrite wakes readers through inotify.
"""

import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

import google_crc32c

FILE_NAME: Final = "watermark"
_BODY: Final = struct.Struct("<8sQQQ")
_MAGIC: Final = b"KEFUWM\x00\x01"
_SIZE: Final = _BODY.size + 4


class Watermark(NamedTuple):
    """How far readers may read."""

    position: int
    """Position of the last event on disk, 0: none."""
    segment_base: int
    """Base position of the active segment."""
    end: int
    """Offset in the active segment at which the durable frames end."""


class WatermarkWriter:
    """The writer's side."""

    def __init__(self, directory: Path) -> None:
        self._fd = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def publish(self, watermark: Watermark) -> None:
        """Let readers see everything up to here; call after the data is on disk."""
        body = _BODY.pack(_MAGIC, *watermark)
        os.pwrite(self._fd, body + struct.pack("<I", google_crc32c.value(body)), 0)

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._fd)


class WatermarkReader:
    """A reader's side."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._fd: int | None = None
        self._last = Watermark(0, 0, 0)

    def read(self) -> Watermark:
        """The newest watermark; the one before it while the writer is in the middle of a write;
        position 0 while there is none.
        """
        if self._fd is None:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return self._last
        data = os.pread(self._fd, _SIZE, 0)
        if len(data) == _SIZE:
            body = data[: _BODY.size]
            magic, *fields = _BODY.unpack(body)
            crc = int.from_bytes(data[_BODY.size :], "little")
            if magic == _MAGIC and crc == google_crc32c.value(body):
                self._last = Watermark(*fields)
        return self._last

    def close(self) -> None:
        """Release the descriptor."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
