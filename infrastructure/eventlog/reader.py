"""Reading the log's files, from any process, in order or by location.

Nothing is ever read behind the durable watermark, and every frame is checked before its events
are handed out.
"""

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from application.ports.event_store import MatchingEvents, RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, MissingSegment
from infrastructure.eventlog.filtering import EventFilter, MatchingScan
from infrastructure.eventlog.frames import BadFrame, Frame, find_frame, read_frame, walk
from infrastructure.eventlog.index import Location
from infrastructure.eventlog.notify import FileWatch
from infrastructure.eventlog.segment import (
    SEALED_SUFFIX,
    current_path,
    list_segments,
    read_footer,
    read_header,
)
from infrastructure.eventlog.watermark import FILE_NAME, Watermark, WatermarkReader

_MAX_OPEN: Final = 64
_MAX_FETCHED: Final = 2
"""Open copies of archived segments: a descriptor keeps the space of one that was evicted."""
_CACHE_BYTES: Final = 16 * 1024 * 1024
"""Of checked frames that are kept for reads by location."""


class _OpenSegment(NamedTuple):
    fd: int
    path: Path
    base_position: int
    seed: int
    content_end: int | None
    """Where its frames end, when it is sealed."""
    fetched: bool
    """It is a copy of a segment that is only in the archive."""


class _Span(NamedTuple):
    """What may be read of a segment."""

    segment: _OpenSegment
    end: int
    """Where to stop."""
    last: int
    """Its last position that may be read."""


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
        self._frames: dict[tuple[int, int], Frame] = {}
        """(segment, offset) -> recently used frames."""
        self._cached_bytes = 0

    def read(self, after: int, limit: int, upto: Watermark) -> list[RecordedEvent]:
        """Events with `after < position <= upto.position`, at most `limit`, in order.

        Raises:
            CorruptLog: what stands there is not what was written.
        """
        if after >= upto.position or limit <= 0:
            return []
        events, self._left = self._left, []
        if not events or events[0].position != after + 1:
            events = []
        if len(events) < limit:
            for frame in self.frames(events[-1].position if events else after, upto):
                if frame.header.base_position > after:
                    events += frame.records()
                else:
                    events += [event for event in frame.records() if event.position > after]
                if len(events) >= limit:
                    break
        self._left = events[limit:]
        return events[:limit]

    def frames(self, after: int, upto: Watermark) -> Iterator[Frame]:
        """Checked frames in order, from the one that holds `after + 1` on; raises as `read`."""
        self._left = []
        if self._next != after + 1 or not self._offset:
            self._seek(after + 1, upto)
        while self._next <= upto.position:
            yield from self._walk_on(upto)

    def at(self, location: Location, upto: Watermark) -> RecordedEvent:
        """The event at a location.

        Raises:
            CorruptLog: its frame is not what was written.
        """
        base = self._base_of(location.position, upto)
        key = (base, location.frame_offset)
        frame = self._frames.get(key)
        if frame is None:
            segment = self._segment(base)
            first = location.position - location.number
            try:
                frame = read_frame(segment.fd, segment.seed, location.frame_offset, first)
            except BadFrame as bad:
                raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad
            self._keep(key, frame)
        if location.number >= frame.header.events:
            reason = f"frame has {frame.header.events} events, not {location.number + 1}"
            raise CorruptFrame(self._paths[base], frame.offset, location.position, reason)
        try:
            return frame.record(location.number)
        except BadFrame as bad:
            raise CorruptFrame(
                self._paths[base], bad.offset, bad.next_position, bad.reason
            ) from bad

    def close(self) -> None:
        """Release descriptors."""
        for segment in self._open.values():
            os.close(segment.fd)
        self._open.clear()

    def _keep(self, key: tuple[int, int], frame: Frame) -> None:
        self._frames[key] = frame
        self._cached_bytes += len(frame.data)
        while self._cached_bytes > _CACHE_BYTES and len(self._frames) > 1:
            self._cached_bytes -= len(self._frames.pop(next(iter(self._frames))).data)

    def _walk_on(self, upto: Watermark) -> Iterator[Frame]:
        """Frames of one segment; the cursor stands behind the one that was handed out last."""
        span = self._span(upto)
        segment, began = span.segment, self._next
        try:
            for frame in walk(segment.fd, segment.seed, self._offset, span.end, self._next):
                self._next = frame.header.base_position + frame.header.events
                self._offset = frame.offset + frame.header.length
                yield frame
                if self._next > span.last:
                    return
            if self._next == began:
                raise BadFrame(self._offset, began, "segment ends before its last position")
        except BadFrame as bad:
            raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad

    def _span(self, upto: Watermark) -> _Span:
        """What may be read of the segment that holds `_next`."""
        while True:
            segment = self._segment(self._base)
            if self._base == upto.segment_base:
                return _Span(segment, upto.end, upto.position)
            following = self._base_after(self._base, upto)
            if self._next < following:
                return _Span(segment, _end_of(segment), following - 1)
            self._base, self._offset = following, format.SEGMENT_HEADER_BYTES

    def _seek(self, position: int, upto: Watermark) -> None:
        """Stand on the frame that holds a position."""
        self._base = self._next = self._base_of(position, upto)
        self._offset = format.SEGMENT_HEADER_BYTES
        if position == self._base:
            return
        segment, end, _ = self._span(upto)
        try:
            self._offset, self._next = find_frame(
                segment.fd, segment.seed, self._offset, end, self._base, position
            )
        except BadFrame as bad:
            self._offset = 0
            raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad

    def _base_of(self, position: int, upto: Watermark) -> int:
        """Base position of the segment that holds a position."""
        if not self._bases or self._bases[-1] < upto.segment_base:
            self._list()
        at = bisect_right(self._bases, position) - 1
        if at < 0:
            raise MissingSegment(self._directory, 0, position, "no segment holds this position")
        return self._bases[at]

    def _base_after(self, base: int, upto: Watermark) -> int:
        if not self._bases or self._bases[-1] < upto.segment_base:
            self._list()
        at = bisect_right(self._bases, base)
        if at == len(self._bases):
            raise MissingSegment(self._directory, 0, self._next, "the next segment is missing")
        return self._bases[at]

    def _list(self) -> None:
        segments = list_segments(self._directory)
        self._bases = [segment.base_position for segment in segments]
        self._paths = {segment.base_position: segment.path for segment in segments}
        remote = {segment.base_position for segment in segments if segment.remote}
        for base, segment in list(self._open.items()):
            if base in remote and not segment.fetched:
                self._close(base)  # deleted here: nobody else keeps its space

    def _segment(self, base: int) -> _OpenSegment:
        if (found := self._open.get(base)) is not None:
            return found
        if base not in self._paths:
            self._list()
        try:
            found = self._open_segment(base)
        except FileNotFoundError:
            self._list()  # it was sealed, and renamed, just now
            found = self._open_segment(base)
        while len(self._open) >= _MAX_OPEN:
            os.close(self._open.pop(next(iter(self._open))).fd)
        if found.fetched:
            fetched = [number for number, segment in self._open.items() if segment.fetched]
            for number in fetched[: len(fetched) + 1 - _MAX_FETCHED]:
                self._close(number)
        self._open[base] = found
        return found

    def _close(self, base: int) -> None:
        """Close a segment, unless the cursor stands in it."""
        if base != self._base:
            os.close(self._open.pop(base).fd)

    def _open_segment(self, base: int) -> _OpenSegment:
        path = self._paths.get(base)
        if path is None:
            raise MissingSegment(self._directory, 0, base, f"no segment begins at {base}")
        path = current_path(path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            header = read_header(path)
            sealed = path.suffix == SEALED_SUFFIX
            end = read_footer(path).content_end if sealed else None
        except BaseException:
            os.close(fd)
            raise
        fetched = path.parent != self._directory
        return _OpenSegment(fd, path, base, format.frame_seed(header.uuid), end, fetched)


def _end_of(segment: _OpenSegment) -> int:
    if segment.content_end is not None:
        return segment.content_end
    # Full, but not sealed when it was opened: the reader leaves it at the position with which the
    # next segment begins, before it reaches the end of the file.
    return os.fstat(segment.fd).st_size


class LogReader:
    """`EventFeed` over the log's files for processes that do not write it; threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments = SegmentReader(directory)
        self._scan = MatchingScan(self._segments.frames)
        self._watermark = WatermarkReader(directory)
        self._watch: FileWatch | None = None
        self._reading = threading.Lock()

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventFeed.read`."""
        with self._reading:
            return self._segments.read(after, limit, self._watermark.read())

    def read_matching(
        self, after: int, limit: int, types: Sequence[str] = (), categories: Sequence[str] = ()
    ) -> MatchingEvents:
        """As `EventFeed.read_matching`."""
        with self._reading:
            wanted = EventFilter(types, categories)
            return self._scan.read(after, limit, wanted, self._watermark.read())

    def durable_position(self) -> int:
        """As `EventFeed.durable_position`."""
        with self._reading:
            return self._watermark.read().position

    def wait(self, after: int, timeout_s: float) -> int:
        """As `EventFeed.wait`."""
        deadline = time.monotonic() + timeout_s
        watch = self._file_watch()  # before the first look, or a change in between goes unseen
        while True:
            position = self.durable_position()
            left = deadline - time.monotonic()
            if position > after or left <= 0:
                return position
            watch.wait(left)

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
