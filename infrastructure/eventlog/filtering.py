"""Catch-up reading with filters: what does not match is passed over without being decoded.

Four steps, each cheaper than the next: where a sealed segment has a map, frames without the wanted
types and categories are not even read (to check them is the scrubber's work); a frame whose bytes
hold none of the wanted names is passed over whole; in the others type and stream are compared as
bytes; events are made of what matches only.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from application.ports.event_store import MatchingEvents, RecordedEvent
from infrastructure.eventlog.format import (
    FRAME_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    unpack_record_header,
)
from infrastructure.eventlog.frames import Frame
from infrastructure.eventlog.watermark import Watermark

MAX_SCANNED_EVENTS: Final = 50_000
MAX_SCANNED_BYTES: Final = 32 * 1024 * 1024
"""A call stops after the frame with which it has looked at this much: some tens of ms."""

_MAX_NEEDLES: Final = 8
"""Beyond this many names, looking for each of them in a frame costs more than it saves."""
_MAX_VERDICTS: Final = 10_000


class EventFilter:
    """Types and stream categories as bytes. Types and categories must both pass."""

    def __init__(self, types: Sequence[str] = (), categories: Sequence[str] = ()) -> None:
        self._exact = frozenset(_bytes(one) for one in types if not one.endswith("*"))
        self._beginnings = tuple(_bytes(one[:-1]) for one in types if one.endswith("*"))
        self.categories = frozenset(_bytes(one) for one in categories)
        self.verdicts: dict[bytes, bool] = {}
        """Type name -> passes; a log has a few dozen."""

    def may_match(self, data: bytes, start: int, end: int) -> bool:
        """False: no record between the two offsets can pass."""
        for wanted in ((*self._exact, *self._beginnings), tuple(self.categories)):
            if (
                wanted
                and len(wanted) <= _MAX_NEEDLES
                and all(data.find(one, start, end) < 0 for one in wanted)
            ):
                return False
        return True

    def decide(self, type_name: bytes) -> bool:
        """Whether a stored name passes; remembered in `verdicts`."""
        verdict = (
            not (self._exact or self._beginnings)
            or type_name in self._exact
            or type_name.startswith(self._beginnings)
        )
        if len(self.verdicts) < _MAX_VERDICTS:
            self.verdicts[type_name] = verdict
        return verdict


def matching_records(frame: Frame, wanted: EventFilter, after: int) -> Iterator[RecordedEvent]:
    """Those events of a checked frame that pass and have `position > after`, in order."""
    data, header = frame.data, frame.header
    at = frame.data_offset + FRAME_HEADER_BYTES
    if not wanted.may_match(data, at, frame.data_offset + header.length):
        return
    verdicts, categories = wanted.verdicts, wanted.categories
    position = header.base_position - 1
    # The hot loop of a filter that matches little: no call for a record that does not pass.
    for _ in range(header.events):
        position += 1
        payload_length, version, stream_length, type_length, metadata_length = unpack_record_header(
            data, at
        )
        stream_start = at + RECORD_HEADER_BYTES
        stream_end = stream_start + stream_length
        type_end = stream_end + type_length
        metadata_end = type_end + metadata_length
        at = metadata_end + payload_length
        type_name = data[stream_end:type_end]
        passes = verdicts.get(type_name)
        if passes is None:
            passes = wanted.decide(type_name)
        if not passes or position <= after:
            continue
        stream = data[stream_start:stream_end]
        if categories and stream.partition(b"-")[0] not in categories:
            continue
        yield RecordedEvent(
            position,
            stream.decode(),
            version,
            type_name.decode(),
            header.timestamp_us,
            data[type_end:metadata_end],
            data[metadata_end:at],
        )


Passing = Callable[[int, Watermark, EventFilter], Iterator[tuple[int, Frame | None]]]


class MatchingScan:
    """Filtered reads over one reader's frames; cheap when each goes on where the last one ended.
    Not safe for several threads.
    """

    def __init__(self, passing: Passing) -> None:
        """`passing` is `SegmentReader.passing`."""
        self._passing = passing
        self._unfinished: Frame | None = None
        """A frame in which the last read reached its limit."""

    def read(self, after: int, limit: int, wanted: EventFilter, upto: Watermark) -> MatchingEvents:
        """As `EventFeed.read_matching`; raises as `SegmentReader.read`."""
        found: list[RecordedEvent] = []
        if after >= upto.position or limit <= 0:
            return MatchingEvents(found, after)
        events = size = 0
        begun, kept, self._unfinished = after, self._unfinished, None
        for last, frame in self._frames_after(after, upto, wanted, kept):
            after = last
            if frame is None:
                continue
            for event in matching_records(frame, wanted, begun):
                found.append(event)
                if len(found) == limit:
                    if event.position < last:
                        self._unfinished = frame
                    return MatchingEvents(found, event.position)
            events += frame.header.events
            size += frame.header.length
            if events >= MAX_SCANNED_EVENTS or size >= MAX_SCANNED_BYTES:
                break
        return MatchingEvents(found, after)

    def _frames_after(
        self, after: int, upto: Watermark, wanted: EventFilter, kept: Frame | None
    ) -> Iterator[tuple[int, Frame | None]]:
        if kept is not None and kept.header.base_position <= after + 1 <= _last(kept):
            after = _last(kept)
            yield after, kept
        if after < upto.position:
            yield from self._passing(after, upto, wanted)


def _bytes(name: str) -> bytes:
    # Half a surrogate pair, as a shell may pass one, is no error: no stored name has it.
    return name.encode(errors="surrogatepass")


def _last(frame: Frame) -> int:
    return frame.header.base_position + frame.header.events - 1
