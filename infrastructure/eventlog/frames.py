"""Frames within a segment file: walking over them, reading one, finding one by position."""

import os
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.format import FrameHeader, InvalidBytes

_READ_BYTES: Final = 1024 * 1024
_PROBE_BYTES: Final = 96 * 1024
"""Of one look into the middle of a segment: a frame is rarely longer."""
_NO_RECORDS: Final = (InvalidBytes, UnicodeDecodeError, struct.error)
_MAGIC_OVERLAP: Final = len(format.FRAME_MAGIC) - 1


class Frame(NamedTuple):
    """A checked frame and where its bytes are."""

    offset: int
    """Within the segment."""
    header: FrameHeader
    data: bytes
    data_offset: int
    """Within `data`."""

    def records(self) -> Iterator[RecordedEvent]:
        """Its events, in order.

        Raises:
            BadFrame: they do not fill it, though its checksum fits: not written by this code.
        """
        try:
            yield from format.decode_records(self.data, self.data_offset, self.header)
        except _NO_RECORDS as error:
            raise self._bad(error) from error

    def record(self, position: int, offset: int, hops: int) -> RecordedEvent:
        """One of its events.

        Args:
            position: Of the event.
            offset: Within the frame, of a record at or before it.
            hops: Records from there to the event's own.

        Raises:
            InvalidBytes: the frame has no such record.
        """
        try:
            return format.decode_record(
                self.data, self.data_offset, self.header, position, offset, hops
            )
        except (UnicodeDecodeError, struct.error) as error:
            raise InvalidBytes(f"no record: {error}") from error

    def _bad(self, error: Exception) -> "BadFrame":
        reason = f"records do not fill their frame: {error}"
        return BadFrame(self.offset, self.header.base_position, reason)


class BadFrame(Exception):
    """Walking stopped: from this offset on there is no valid frame with the next position."""

    def __init__(self, offset: int, next_position: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.next_position = next_position
        self.reason = reason


def walk(fd: int, seed: int, offset: int, end: int | None, next_position: int) -> Iterator[Frame]:
    """Frames of a segment in order, each checked.

    Args:
        fd: Open segment file.
        seed: `format.frame_seed` of its uuid.
        offset: Where a frame begins.
        end: Where to stop; None: at the first bytes that are no valid frame, by `BadFrame`, or
            at the end of the file or the zeros that were reserved behind the last frame.
        next_position: Position of the first event at `offset`.

    Raises:
        BadFrame: what stands there is no valid frame with the next position.
    """
    data, start, size = b"", offset, _PROBE_BYTES
    while end is None or offset < end:
        at = offset - start
        if len(data) - at < format.FRAME_HEADER_BYTES:
            data, start, at = _pread(fd, size, offset, end), offset, 0
            size = _READ_BYTES  # whoever reads on reads much; one event is a frame
            if not data:
                if end is None:
                    return
                raise BadFrame(offset, next_position, "segment is cut short")
        if end is None and not any(data[at : at + format.FRAME_HEADER_BYTES]):
            return
        try:
            header = format.decode_frame_header(data, at)
            if len(data) - at < header.length:
                need = max(header.length, size)
                size = _READ_BYTES
                data, start, at = _pread(fd, need, offset, end), offset, 0
            header = format.check_frame(data, at, seed)
            _check_position(header, next_position)
        except InvalidBytes as error:
            raise BadFrame(offset, next_position, str(error)) from error
        yield Frame(offset, header, data, at)
        offset += header.length
        next_position += header.events


def read_frame(fd: int, seed: int, offset: int, position: int | None) -> Frame:
    """The one frame at an offset.

    Args:
        fd: Open segment file.
        seed: `format.frame_seed` of its uuid.
        offset: Where it begins.
        position: Of its first event; None: any.

    Raises:
        BadFrame: what stands there is no valid frame with that position.
    """
    data = os.pread(fd, _PROBE_BYTES, offset)
    try:
        header = format.decode_frame_header(data, 0)
        if len(data) < header.length:
            data = os.pread(fd, header.length, offset)
        header = format.check_frame(data, 0, seed)
        if position is not None:
            _check_position(header, position)
    except InvalidBytes as error:
        raise BadFrame(offset, position or 0, str(error)) from error
    return Frame(offset, header, data, 0)


def find_frame(
    fd: int,
    seed: int,
    start: int,
    end: int,
    base_position: int,
    not_behind: Callable[[FrameHeader], bool],
) -> tuple[int, FrameHeader] | None:
    """The last frame that is not behind what is sought, by halving: frames can be recognised
    anywhere by their magic and checksum, so no index is needed.

    Args:
        fd: Open segment file.
        seed: `format.frame_seed` of its uuid.
        start: Where the first frame begins.
        end: Where the frames end.
        base_position: Position of the first event at `start`.
        not_behind: Whether a frame is not; true of some first frames, and of no other.

    Returns:
        Offset and header of the frame; None: even the first is behind.

    Raises:
        BadFrame: there are bytes on the way that are no frame.
    """
    low, high = start, end
    while high - low > _PROBE_BYTES:
        middle = (low + high) // 2
        found = _frame_from(fd, seed, middle, high)
        if found is not None and not_behind(found[1]):
            low, base_position = found[0], found[1].base_position
        else:
            high = middle
    last = None
    while low < end:
        data = os.pread(fd, format.FRAME_HEADER_BYTES, low)
        if last is not None and (not any(data) or data.startswith(format.FOOTER_MAGIC)):
            break  # a full segment that has not been cut yet, or was sealed since it was opened
        try:
            header = format.decode_frame_header(data, 0)
            _check_position(header, base_position)
        except InvalidBytes as error:
            raise BadFrame(low, base_position, str(error)) from error
        if not not_behind(header):
            break
        last = low, header
        base_position += header.events
        low += header.length
    return last


def up_to(position: int) -> Callable[[FrameHeader], bool]:
    """For `find_frame`: the frame that holds a position."""
    return lambda header: header.base_position <= position


def _frame_from(fd: int, seed: int, offset: int, end: int) -> tuple[int, FrameHeader] | None:
    """Offset and header of the first valid frame between two offsets."""
    while offset < end:
        data = os.pread(fd, min(_PROBE_BYTES, end - offset), offset)
        at = data.find(format.FRAME_MAGIC)
        while at >= 0:
            try:
                header = read_frame(fd, seed, offset + at, None).header
            except BadFrame:
                at = data.find(format.FRAME_MAGIC, at + 1)  # the same bytes within a record
            else:
                return offset + at, header
        if len(data) <= _MAGIC_OVERLAP:
            return None
        offset += len(data) - _MAGIC_OVERLAP
    return None


def _check_position(header: FrameHeader, expected: int) -> None:
    if header.base_position != expected:
        raise InvalidBytes(f"frame holds position {header.base_position}, expected {expected}")


def _pread(fd: int, size: int, offset: int, end: int | None) -> bytes:
    return os.pread(fd, size if end is None else min(size, end - offset), offset)
