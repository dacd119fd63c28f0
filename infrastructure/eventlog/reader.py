"""Reading the log's files, from any process, in order or by location.

Nothing is ever read behind the durable watermark, and every frame is checked before its events
are handed out.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from application.ports.event_store import MatchingEvents, RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, MissingSegment, WrongIndex
from infrastructure.eventlog.filtering import EventFilter, MatchingScan
from infrastructure.eventlog.format import InvalidBytes
from infrastructure.eventlog.frames import BadFrame, Frame, find_frame, read_frame, walk
from infrastructure.eventlog.index import Location
from infrastructure.eventlog.notify import FileWatch
from infrastructure.eventlog.opened import OpenSegment, OpenSegments
from infrastructure.eventlog.watermark import FILE_NAME, Watermark, WatermarkReader

_CACHE_BYTES: Final = 16 * 1024 * 1024
"""Of checked frames that are kept for reads by location."""


class _Span(NamedTuple):
    """What may be read of a segment."""

    segment: OpenSegment
    end: int
    """Where to stop."""
    last: int
    """Its last position that may be read."""


class SegmentReader:
    """Events of the log's files, up to a given watermark. Not safe for several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opened = OpenSegments(directory)
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

    def at(self, stream: str, location: Location, upto: Watermark) -> RecordedEvent:
        """The stream's event at a location.

        Raises:
            CorruptLog: its frame is not what was written.
            WrongIndex: something else is there.
        """
        base = self._base_of(location.position, upto)
        key = (base, location.frame_offset)
        frame = self._frames.get(key)
        if frame is None:
            segment = self._opened.get(base, self._base)
            try:
                frame = read_frame(segment.fd, segment.seed, location.frame_offset, None)
            except BadFrame as bad:
                raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad
            self._keep(key, frame)
        first = frame.header.base_position
        try:
            if not first <= location.position < first + frame.header.events:
                raise InvalidBytes("another frame is there")
            event = frame.record(location.position, location.record_offset, location.hops)
        except InvalidBytes as error:
            raise WrongIndex(stream, location.version, location.position) from error
        if event.stream != stream or event.version != location.version:
            raise WrongIndex(stream, location.version, location.position)
        return event

    def close(self) -> None:
        """Release descriptors."""
        self._opened.close()

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
            segment = self._opened.get(self._base, self._base)
            if self._base == upto.segment_base:
                return _Span(segment, upto.end, upto.position)
            following = self._base_after(self._base, upto)
            if self._next < following:
                return _Span(segment, segment.end(), following - 1)
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
        bases = self._opened.bases(upto, self._base)
        at = bisect_right(bases, position) - 1
        if at < 0:
            raise MissingSegment(self._directory, 0, position, "no segment holds this position")
        return bases[at]

    def _base_after(self, base: int, upto: Watermark) -> int:
        bases = self._opened.bases(upto, self._base)
        at = bisect_right(bases, base)
        if at == len(bases):
            raise MissingSegment(self._directory, 0, self._next, "the next segment is missing")
        return bases[at]


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
