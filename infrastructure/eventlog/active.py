"""The segment that is being written."""

import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from infrastructure.eventlog import format
from infrastructure.eventlog.disk import Disk, DiskFull, is_full
from infrastructure.eventlog.encoding import EncodedFrame
from infrastructure.eventlog.format import Footer, SegmentHeader, StreamIndex
from infrastructure.eventlog.recovery import Tail
from infrastructure.eventlog.sealing import sync_directory
from infrastructure.eventlog.segment import NEW_SUFFIX, open_path, read_header
from infrastructure.eventlog.segment_map import MapBuilder, Place, category_of

_RESERVE_BYTES: Final = 16 * 1024 * 1024


class ActiveSegment:
    """Appends frames; knows where they end and the hash of everything before."""

    def __init__(
        self, path: Path, header: SegmentHeader, disk: Disk, end: int, content_hash: Any
    ) -> None:
        self.path = path
        self.base_position = header.base_position
        self.uuid = header.uuid
        self.seed = format.frame_seed(header.uuid)
        self.end = end
        """Offset behind the last durable frame."""
        self.first_timestamp_us = 0
        """Of its first frame; 0: it has none."""
        self.streams: StreamIndex | None = None
        """For the footer; None: not known, because another process wrote a part of it."""
        self.map: MapBuilder | None = None
        """Its frames; None: as above."""
        self._last_timestamp_us = 0
        self._aging_since = 0.0
        """When its first frame came, by the monotonic clock."""
        self._disk = disk
        self._hash = content_hash
        self._reserved = end
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @classmethod
    def create(
        cls, directory: Path, base_position: int, previous_hash: bytes, disk: Disk
    ) -> "ActiveSegment":
        """A new segment; its name appears in the directory with its header whole.

        Raises:
            DiskFull: there is no space for it; nothing was changed.
            OSError: another failure; whether the segment is there is not certain.
        """
        header = SegmentHeader(secrets.token_bytes(16), base_position, previous_hash)
        data = format.encode_segment_header(header)
        path = open_path(directory, base_position)
        temporary = path.with_suffix(NEW_SUFFIX)
        try:
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                disk.reserve(fd, 0, len(data))
                disk.write(fd, [data], 0)
                disk.flush(fd)
            finally:
                os.close(fd)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if is_full(error):
                raise DiskFull(error.errno, error.strerror) from error
            raise
        temporary.rename(path)
        sync_directory(directory)
        active = cls(path, header, disk, len(data), hashlib.sha256(data))
        active.streams, active.map = {}, MapBuilder()
        return active

    @classmethod
    def resume(cls, tail: Tail, disk: Disk) -> "ActiveSegment":
        """Go on in a recovered segment."""
        path = tail.segment.path
        active = cls(path, read_header(path), disk, tail.end, tail.content_hash)
        active.first_timestamp_us = tail.first_timestamp_us
        # Recorded times may be ahead of the clock by now, where it went back.
        age_s = max(0.0, time.time() - tail.first_timestamp_us / 1e6)
        active._aging_since = time.monotonic() - age_s
        return active

    @property
    def age_s(self) -> float:
        """Since its first frame, whatever was done to the wall clock meanwhile; 0: it has none."""
        return time.monotonic() - self._aging_since if self.first_timestamp_us else 0.0

    def append(self, frames: Sequence[bytes], timestamp_us: int) -> None:
        """Write frames and return when they are on disk.

        Raises:
            DiskFull: there is no space; nothing was written, and later there may be.
            OSError: nothing of it may be acknowledged, and nothing more may be written.
        """
        size = sum(map(len, frames))
        if self.end + size > self._reserved:
            length = max(_RESERVE_BYTES, size)
            self._disk.reserve(self._fd, self.end, length)
            self._reserved = self.end + length
        self._disk.write(self._fd, frames, self.end)
        self._disk.flush(self._fd)
        for frame in frames:
            self._hash.update(frame)
        self.end += size
        if not self.first_timestamp_us:
            self.first_timestamp_us = timestamp_us
            self._aging_since = time.monotonic()
        self._last_timestamp_us = timestamp_us

    def content_hash(self) -> bytes:
        """SHA-256 over the header and all frames."""
        digest: bytes = self._hash.digest()
        return digest

    def count(self, offset: int, timestamp_us: int, frame: EncodedFrame) -> None:
        """What was appended, and where, for the footer and the map.

        Counted here, where a run is one entry: to read all events of a full segment again took
        more time than to write them.
        """
        streams = self.streams
        if streams is not None:
            for stream, first, count, _ in frame.runs:
                known = streams.get(stream)
                streams[stream] = (first + count - 1, known[1] + count if known else count)
        if self.map is not None:
            place = Place(offset, frame.base_position)
            categories = {category_of(stream) for stream, *_ in frame.runs}
            self.map.add(place, timestamp_us, frame.types, categories)

    def footer(self, next_position: int) -> tuple[Footer, StreamIndex] | None:
        """What sealing writes behind it; None: it must be counted from the file."""
        if self.streams is None:
            return None
        base, streams = self.base_position, self.streams
        return (
            Footer(
                next_position - base,
                base,
                next_position - 1,
                self.end,
                self._last_timestamp_us,
                self.content_hash(),
                len(streams),
            ),
            streams,
        )

    def close(self) -> None:
        """Release the descriptor; reserved space, or half a frame after a failure, goes."""
        try:
            os.ftruncate(self._fd, self.end)
        finally:
            os.close(self._fd)
