"""Reading the log's files, from any process, in order or by location.

Nothing is ever read behind the durable watermark, and every frame is checked before its events
are handed out.
"""

import os
import time
from bisect import bisect_right
from pathlib import Path
from typing import Final, NamedTuple

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, MissingSegment
from infrastructure.eventlog.index import Location
from infrastructure.eventlog.notify import FileWatch
from infrastructure.eventlog.segment import (
    BadFrame,
    Frame,
    list_segments,
    read_footer,
    read_header,
    walk,
)
from infrastructure.eventlog.watermark import FILE_NAME, Watermark, WatermarkReader

_MAX_OPEN: Final = 64
_FRAME_CACHE: Final = 256


class _OpenSegment(NamedTuple):
    fd: int
    path: Path
    base_position: int
    seed: int
    content_end: int | None
    """Where its frames end, when it is sealed."""


def _end_of(segment: _OpenSegment) -> int:
    if segment.content_end is not None:
        return segment.content_end
    # Full, but not sealed when it was opened: the reader leaves it at the position with which the
    # next segment begins, before it reaches the end of the file.
    return os.fstat(segment.fd).st_size


class SegmentReader:
    """Events of the log's files, up to a given watermark. Not safe for several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._bases: list[int] = []
        self._paths: dict[int, Path] = {}
        self._open: dict[int, _OpenSegment] = {}
        self._next = 1
        self._base = 0
        self._offset = 0
        """Where the frame with `_next` begins, in the segment with `_base`; 0: not known."""
        self._left: list[RecordedEvent] = []
        """Events of a frame that was read further than the caller wanted."""
        self._frames: dict[tuple[int, int], list[RecordedEvent]] = {}

    def read(self, after: int, limit: int, upto: Watermark) -> list[RecordedEvent]:
        """Events with `after < position <= upto.position`, at most `limit`, in order.

        Raises:
            CorruptLog: what stands there is not what was written.
        """
        if after >= upto.position or limit <= 0:
            return []
        events: list[RecordedEvent] = []
        if self._left and self._left[0].position == after + 1:
            events = self._left
            self._left = []
        elif self._next != after + 1 or not self._offset:
            self._seek(after + 1)
        while len(events) < limit and self._next <= upto.position:
            segment, end, last = self._current(upto)
            try:
                for frame in walk(segment.fd, segment.seed, self._offset, end, self._next):
                    records = frame.records()
                    events += (r for r in records if r.position > after)
                    self._advance(frame)
                    if len(events) >= limit or self._next > last:
                        break
            except BadFrame as bad:
                raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad
        self._left = events[limit:]
        return events[:limit]

    def at(self, location: Location) -> RecordedEvent:
        """The event at a location.

        Raises:
            CorruptLog: its frame is not what was written.
        """
        base = self._base_of(location.position)
        key = (base, location.frame_offset)
        records = self._frames.get(key)
        if records is None:
            segment = self._segment(base)
            first = location.position - location.number
            walker = walk(segment.fd, segment.seed, location.frame_offset, 1 << 62, first)
            try:
                records = list(next(walker).records())
            except BadFrame as bad:
                raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad
            while len(self._frames) >= _FRAME_CACHE:
                self._frames.pop(next(iter(self._frames)))
            self._frames[key] = records
        return records[location.number]

    def close(self) -> None:
        """Release descriptors."""
        for segment in self._open.values():
            os.close(segment.fd)
        self._open.clear()

    def _advance(self, frame: Frame) -> None:
        self._next = frame.header.base_position + frame.header.events
        self._offset = frame.offset + frame.header.length

    def _current(self, upto: Watermark) -> tuple[_OpenSegment, int, int]:
        """The segment that holds `_next`, where its durable frames end, and its last position."""
        segment = self._segment(self._base)
        while True:
            if self._base == upto.segment_base:
                return segment, upto.end, upto.position
            following = self._base_after(self._base)
            if self._next < following:
                return segment, _end_of(segment), following - 1
            self._base, self._offset = following, format.SEGMENT_HEADER_BYTES
            segment = self._segment(following)

    def _seek(self, position: int) -> None:
        """Find the frame that holds a position by hopping over the frames of its segment."""
        self._left = []
        base = self._base_of(position)
        segment = self._segment(base)
        self._base, self._next, self._offset = base, base, format.SEGMENT_HEADER_BYTES
        while self._next < position:
            data = os.pread(segment.fd, format.FRAME_HEADER_BYTES, self._offset)
            try:
                header = format.decode_frame_header(data, 0)
            except format.InvalidBytes as error:
                raise CorruptFrame(segment.path, self._offset, self._next, str(error)) from error
            if header.base_position + header.events > position:
                return
            self._next = header.base_position + header.events
            self._offset += header.length

    def _base_of(self, position: int) -> int:
        at = bisect_right(self._bases, position) - 1
        # The last known segment may have been followed by others since.
        if at < 0 or at == len(self._bases) - 1:
            self._list()
            at = bisect_right(self._bases, position) - 1
        if at < 0:
            raise MissingSegment(self._directory, 0, position, "no segment holds this position")
        return self._bases[at]

    def _base_after(self, base: int) -> int:
        at = bisect_right(self._bases, base)
        if at == len(self._bases):
            self._list()
            at = bisect_right(self._bases, base)
        if at == len(self._bases):
            raise MissingSegment(self._directory, 0, self._next, "the next segment is missing")
        return self._bases[at]

    def _list(self) -> None:
        segments = list_segments(self._directory)
        self._bases = [segment.base_position for segment in segments]
        self._paths = {segment.base_position: segment.path for segment in segments}

    def _segment(self, base: int) -> _OpenSegment:
        found = self._open.get(base)
        if found is not None:
            return found
        if base not in self._paths:
            self._list()
        try:
            found = self._open_segment(base)
        except FileNotFoundError:
            self._list()  # it was sealed, and renamed, just now
            found = self._open_segment(base)
        while len(self._open) >= _MAX_OPEN:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest).fd)
        self._open[base] = found
        return found

    def _open_segment(self, base: int) -> _OpenSegment:
        path = self._paths[base]
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            header = read_header(path)
            sealed = path.suffix == ".seg"
            end = read_footer(path).content_end if sealed else None
        except BaseException:
            os.close(fd)
            raise
        return _OpenSegment(fd, path, base, format.frame_seed(header.uuid), end)


class LogReader:
    """`EventFeed` over the log's files, for processes that do not write it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments = SegmentReader(directory)
        self._watermark = WatermarkReader(directory)
        self._watch: FileWatch | None = None

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventFeed.read`."""
        return self._segments.read(after, limit, self._watermark.read())

    def durable_position(self) -> int:
        """As `EventFeed.durable_position`."""
        return self._watermark.read().position

    def wait(self, after: int, timeout_s: float) -> int:
        """As `EventFeed.wait`."""
        deadline = time.monotonic() + timeout_s
        while True:
            position = self.durable_position()
            left = deadline - time.monotonic()
            if position > after or left <= 0:
                return position
            self._file_watch().wait(left)

    def fileno(self) -> int:
        """As `EventFeed.fileno`."""
        return self._file_watch().fileno()

    def drain(self) -> None:
        """As `EventFeed.drain`."""
        self._file_watch().drain()

    def close(self) -> None:
        """As `EventFeed.close`."""
        self._segments.close()
        self._watermark.close()
        if self._watch is not None:
            self._watch.close()

    def _file_watch(self) -> FileWatch:
        if self._watch is None:
            path = self._directory / FILE_NAME
            self._directory.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._watch = FileWatch(path)
        return self._watch
