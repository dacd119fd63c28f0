"""Segments as zstd, in pieces: a segment has up to 2 GiB."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

import zstandard

from infrastructure.eventlog.archive.object_store import CHUNK_BYTES

_LEVEL: Final = 3


class InvalidCompression(ValueError):
    """Bytes that are not zstd."""


class Stopped(Exception):
    """The work was told to end; it goes on at the next start."""


class Pace:
    """Lets bytes through at a rate, so that archiving leaves the disk to the writer."""

    def __init__(self, bytes_per_s: float | None, stop: threading.Event) -> None:
        self._rate = bytes_per_s
        self._stop = stop
        self._free_at = 0.0

    def take(self, size: int) -> None:
        """Wait until so many bytes may pass.

        Raises:
            Stopped: whoever works was told to end.
        """
        now = time.monotonic()
        if self._rate is not None:
            self._free_at = max(self._free_at, now) + size / self._rate
        if self._stop.wait(max(0.0, self._free_at - now)):
            raise Stopped


def unhurried() -> Pace:
    """No limit, and nobody who stops it."""
    return Pace(None, threading.Event())


def read_pieces(path: Path, pace: Pace) -> Iterator[bytes]:
    """A file's bytes."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            pace.take(len(chunk))
            yield chunk


def compress(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """`size` bytes as one zstd frame with its length and checksum."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj(size=size)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def decompress(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What one zstd frame holds, in pieces of at most `CHUNK_BYTES`, whatever it claims.

    Raises:
        InvalidCompression: it is none. One that is cut short just ends: compare a hash.
    """
    source = cast(IO[bytes], _Source(pieces))  # only its `read` is used
    reader = zstandard.ZstdDecompressor().stream_reader(source)
    try:
        while piece := reader.read(CHUNK_BYTES):
            yield piece
    except zstandard.ZstdError as error:
        raise InvalidCompression(str(error)) from error


class _Source(io.RawIOBase):
    """Pieces as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    # RawIOBase's buffer is any writable one; only these two are ever passed.
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not self._left:
            self._left = next(self._pieces, b"")
        taken = self._left[: len(buffer)]
        self._left = self._left[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
