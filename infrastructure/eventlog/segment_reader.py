"""Reading segments up to a watermark, in order, by location or by moment.

Nothing is ever read behind the durable watermark, and every frame is checked before its events
are handed out.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, MissingSegment, WrongIndex
from infrastructure.eventlog.filtering import EventFilter
from infrastructure.eventlog.format import FrameHeader, InvalidBytes
from infrastructure.eventlog.frames import BadFrame, Frame, find_frame, read_frame, up_to, walk
from infrastructure.eventlog.index import Location
from infrastructure.eventlog.maps import SegmentMaps
from infrastructure.eventlog.opened import OpenSegment, OpenSegments
from infrastructure.eventlog.segment_map import SegmentMap
from infrastructure.eventlog.watermark import Watermark

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
        self._maps = SegmentMaps(directory)
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

    def passing(
        self, after: int, upto: Watermark, wanted: EventFilter
    ) -> Iterator[tuple[int, Frame | None]]:
        """As `frames`, for events that pass a filter.

        Yields:
            Up to which position the log has been looked at, and the frame that ends there; None:
            the segment's map says that nothing behind the last one passes, and nothing was read.
        """
        self._left = []
        if self._next != after + 1 or not self._offset:
            self._seek(after + 1, upto)
        while self._next <= upto.position:
            span = self._span(upto)
            known = self._map(span.segment)
            if known is None or span.last + 1 < known.next_position:
                for frame in self._walk_on(upto):
                    yield self._next - 1, frame
            else:
                yield from self._hop(span.segment, known, wanted)

    def position_at(self, recorded_us: int, upto: Watermark) -> int:
        """Position of the last event recorded at or before a moment, 0: none was.

        Args:
            recorded_us: Microseconds since 1970, UTC.
            upto: Where the log ends.

        Raises:
            CorruptLog: what stands there is not what was written.
        """
        if not upto.position:
            return 0
        bases = self._opened.bases(upto, self._base)
        # The first segment that ends behind the moment, or the last one of all.
        low, high = 0, bisect_right(bases, upto.position) - 1
        while low < high:
            middle = (low + high) // 2
            last = self._opened.last_timestamp_us(bases[middle])
            if last is None or last > recorded_us:
                high = middle
            else:
                low = middle + 1
        base = self._base = self._next = bases[low]
        self._offset = format.SEGMENT_HEADER_BYTES
        segment, end, last_position = self._span(upto)
        if (known := self._map(segment)) is not None:
            return min(known.last_position_at(recorded_us), last_position)
        found = self._find(
            segment, self._offset, end, base, lambda frame: frame.timestamp_us <= recorded_us
        )
        return found[1].base_position + found[1].events - 1 if found else base - 1

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
        began = self._next
        for frame in self._walk(span.segment, span.end):
            yield frame
            if self._next > span.last:
                return
        if self._next == began:
            reason = "segment ends before its last position"
            raise CorruptFrame(span.segment.path, self._offset, began, reason)

    def _walk(self, segment: OpenSegment, end: int) -> Iterator[Frame]:
        try:
            for frame in walk(segment.fd, segment.seed, self._offset, end, self._next):
                self._next = frame.header.base_position + frame.header.events
                self._offset = frame.offset + frame.header.length
                yield frame
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
        if (known := self._map(segment)) is not None:
            self._offset, self._next = known.place(known.number_of(position))
            return
        offset, self._offset = self._offset, 0
        found = self._find(segment, offset, end, self._base, up_to(position))
        assert found is not None  # its first frame's position is the segment's
        self._offset, self._next = found[0], found[1].base_position

    def _find(
        self,
        segment: OpenSegment,
        start: int,
        end: int,
        base: int,
        not_behind: Callable[[FrameHeader], bool],
    ) -> tuple[int, FrameHeader] | None:
        try:
            return find_frame(segment.fd, segment.seed, start, end, base, not_behind)
        except BadFrame as bad:
            raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad

    def _map(self, segment: OpenSegment) -> SegmentMap | None:
        if segment.content_end is None:
            return None
        return self._maps.get(segment.base_position, segment.uuid, segment.content_end)

    def _hop(
        self, segment: OpenSegment, known: SegmentMap, wanted: EventFilter
    ) -> Iterator[tuple[int, Frame | None]]:
        """Frames of one segment that may hold what is wanted."""
        passes = known.passing(wanted.decide, wanted.categories)
        number, frames = known.number_of(self._next), known.frames
        while number < frames:
            passing, stop = passes(number), number + 1
            while stop < frames and passes(stop) == passing:
                stop += 1
            if passing:
                for frame in self._walk(segment, known.place(stop).offset):
                    yield self._next - 1, frame
            else:
                self._offset, self._next = known.place(stop)
                yield self._next - 1, None
            number = stop

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
