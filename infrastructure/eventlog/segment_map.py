"""The map of a sealed segment: for each frame its position, offset and time, and which event types
and stream categories are in it.

A cache of the segment, in `maps/<first position>.map`, drawn in docs/formats/segment.md. With it a
reader finds a position or a moment without looking into the segment, and passes over frames that
hold nothing of what a filter wants without reading them.
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import google_crc32c

from infrastructure.eventlog.frames import Frame

_MAGIC: Final = b"KEFUMAP\x01"
_HEADER: Final = struct.Struct("<8s16sQQQIIII")
_HEADER_BYTES: Final = _HEADER.size + 4
_LENGTH: Final = struct.Struct("<H")
_COLUMNS: Final = 5
_NAMED_BITS: Final = 63
"""Names that have a bit of their own; all others share the last one."""


class BadMap(Exception):
    """The file is no map of this segment; it is a cache and can be made again."""


class Place(NamedTuple):
    """Where a frame begins."""

    offset: int
    """Within the segment; behind the last frame: where the frames end."""
    position: int
    """Of its first event."""


class MapBuilder:
    """Collects a segment's frames, in order."""

    def __init__(self) -> None:
        self._columns = [array("Q") for _ in range(_COLUMNS)]
        self._types: dict[bytes, int] = {}
        self._categories: dict[bytes, int] = {}

    def add(
        self,
        place: Place,
        timestamp_us: int,
        types: Iterable[bytes],
        categories: Iterable[bytes],
    ) -> None:
        """The next frame.

        Args:
            place: Of the frame.
            timestamp_us: Of its events.
            types: Stored names of the event types in it.
            categories: Of its streams: their names up to the first `-`.
        """
        row = (
            place.position,
            place.offset,
            timestamp_us,
            _mask(self._types, types),
            _mask(self._categories, categories),
        )
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def add_frame(self, frame: Frame) -> None:
        """The next frame, from its bytes.

        Raises:
            BadFrame: its records do not fill it.
        """
        types, categories = set(), set()
        for event in frame.records():
            types.add(event.type.encode())
            categories.add(category_of(event.stream))
        header = frame.header
        place = Place(frame.offset, header.base_position)
        self.add(place, header.timestamp_us, types, categories)

    def encode(self, uuid: bytes, content_end: int, next_position: int) -> bytes:
        """The file's bytes.

        Args:
            uuid: Of the segment.
            content_end: Where its frames end.
            next_position: Behind its last event.
        """
        names = b"".join(
            _LENGTH.pack(len(name)) + name
            for table in (self._types, self._categories)
            for name in list(table)[:_NAMED_BITS]
        )
        body = b"".join([*map(array.tobytes, self._columns), names])
        header: bytes = _HEADER.pack(
            _MAGIC,
            uuid,
            content_end,
            next_position,
            len(self._columns[0]),
            min(len(self._types), _NAMED_BITS),
            min(len(self._categories), _NAMED_BITS),
            len(names),
            google_crc32c.value(body),
        )
        checksum: bytes = google_crc32c.value(header).to_bytes(4, "little")
        return header + checksum + body


class SegmentMap:
    """A decoded map: some 130 KB for a full segment."""

    def __init__(self, data: bytes, uuid: bytes, content_end: int) -> None:
        """Check and decode it.

        Args:
            data: Of the file.
            uuid: Of the segment that it must be of.
            content_end: Where that segment's frames end.

        Raises:
            BadMap: it is none, or another segment's.
        """
        if len(data) < _HEADER_BYTES:
            raise BadMap("cut short")
        header, body = data[: _HEADER.size], data[_HEADER_BYTES:]
        magic, own_uuid, end, self.next_position, frames, types, categories, _, crc = (
            _HEADER.unpack(header)
        )
        header_crc = int.from_bytes(data[_HEADER.size : _HEADER_BYTES], "little")
        if magic != _MAGIC or google_crc32c.value(header) != header_crc:
            raise BadMap("header fails its checks")
        if (own_uuid, end) != (uuid, content_end):
            raise BadMap("of another segment")
        if google_crc32c.value(body) != crc:
            raise BadMap("fails its checksum")
        self.content_end = content_end
        self.frames: int = frames
        columns = [
            memoryview(body)[8 * frames * at : 8 * frames * (at + 1)].cast("Q")
            for at in range(_COLUMNS)
        ]
        self._positions, self._offsets, self._timestamps, self._types, self._categories = columns
        names = _decode_names(body, 8 * frames * _COLUMNS, types + categories)
        self._type_names, self._category_names = names[:types], names[types:]

    def number_of(self, position: int) -> int:
        """Number of the frame, from 0, that holds a position of the segment."""
        return bisect_right(self._positions, position) - 1

    def place(self, number: int) -> Place:
        """Where a frame begins; of the number of frames: where they end."""
        if number == self.frames:
            return Place(self.content_end, self.next_position)
        return Place(self._offsets[number], self._positions[number])

    def last_position_at(self, timestamp_us: int) -> int:
        """Position of the last event recorded at or before a moment, or of the one before the
        segment's first.
        """
        return self.place(bisect_right(self._timestamps, timestamp_us)).position - 1

    def passing(
        self, type_passes: Callable[[bytes], bool], categories: Iterable[bytes]
    ) -> Callable[[int], bool]:
        """A function that tells of a frame's number whether events in it may pass.

        Args:
            type_passes: Whether events of a type do.
            categories: That pass; none: all.
        """
        others = 1 << _NAMED_BITS
        types = others | sum(1 << n for n, one in enumerate(self._type_names) if type_passes(one))
        wanted = frozenset(categories)
        kinds = others | sum(
            1 << n for n, one in enumerate(self._category_names) if not wanted or one in wanted
        )
        in_types, in_categories = self._types, self._categories
        return lambda number: bool(in_types[number] & types and in_categories[number] & kinds)


def category_of(stream: str) -> bytes:
    """A stream's category, as it is stored."""
    return stream.partition("-")[0].encode()


def _mask(bits: dict[bytes, int], names: Iterable[bytes]) -> int:
    mask = 0
    for name in names:
        bit = bits.get(name)
        if bit is None:
            bit = min(len(bits), _NAMED_BITS)
            if bit < _NAMED_BITS:
                bits[name] = bit
        mask |= 1 << bit
    return mask


def _decode_names(body: bytes, at: int, count: int) -> list[bytes]:
    names = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        names.append(body[at : at + length])
        at += length
    return names
