"""Segment files: their names, their headers and footers, and walking over their frames.

A segment is named by its base position: `<20 digits>.open` while it is written,
`<20 digits>.seg` when it is sealed (and read-only).
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptSegment, MissingSegment, NewerFormat
from infrastructure.eventlog.format import Footer, FrameHeader, InvalidBytes, SegmentHeader

OPEN_SUFFIX: Final = ".open"
SEALED_SUFFIX: Final = ".seg"
_READ_BYTES: Final = 1024 * 1024


class Segment(NamedTuple):
    """A segment file on disk."""

    path: Path
    base_position: int
    sealed: bool


class Frame(NamedTuple):
    """A checked frame and where its bytes are."""

    offset: int
    """Within the segment."""
    header: FrameHeader
    data: bytes
    data_offset: int
    """Within `data`."""

    def records(self) -> Iterator[RecordedEvent]:
        """Its events, in order."""
        return format.decode_records(self.data, self.data_offset, self.header)


class BadFrame(Exception):
    """Walking stopped: from this offset on there is no valid frame with the next position."""

    def __init__(self, offset: int, next_position: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.next_position = next_position
        self.reason = reason


def open_path(directory: Path, base_position: int) -> Path:
    """Path of a segment that is being written."""
    return directory / f"{base_position:020d}{OPEN_SUFFIX}"


def sealed_path(path: Path) -> Path:
    """Path of the same segment once it is sealed."""
    return path.with_suffix(SEALED_SUFFIX)


def list_segments(directory: Path) -> list[Segment]:
    """All segments by base position."""
    found = []
    for entry in os.scandir(directory):
        stem, suffix = os.path.splitext(entry.name)
        if suffix in (OPEN_SUFFIX, SEALED_SUFFIX) and stem.isdigit():
            found.append(Segment(Path(entry.path), int(stem), suffix == SEALED_SUFFIX))
    return sorted(found, key=lambda segment: segment.base_position)


def read_header(path: Path) -> SegmentHeader:
    """A segment's header.

    Raises:
        CorruptSegment: it fails its checks.
        NewerFormat: a newer kefu wrote it.
    """
    base = int(path.stem)
    with path.open("rb") as file:
        data = file.read(format.SEGMENT_HEADER_BYTES)
    try:
        header, version = format.decode_segment_header(data)
    except InvalidBytes as error:
        raise CorruptSegment(path, 0, base, str(error)) from error
    if version > format.FORMAT_VERSION:
        raise NewerFormat(f"{path.name} has format {version}; this kefu knows 1 to 1")
    if header.base_position != base:
        raise CorruptSegment(path, 0, base, f"holds position {header.base_position} on")
    return header


def read_footer(path: Path) -> Footer:
    """A sealed segment's footer.

    Raises:
        CorruptSegment: there is none, or it fails its checks.
    """
    base = int(path.stem)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        try:
            if size < format.SEGMENT_HEADER_BYTES + format.FOOTER_END_BYTES:
                raise InvalidBytes("segment is too short for a footer")
            file.seek(size - format.FOOTER_END_BYTES)
            length, crc = format.decode_footer_end(file.read())
            start = size - format.FOOTER_END_BYTES - length
            if start < format.SEGMENT_HEADER_BYTES:
                raise InvalidBytes("segment footer is longer than the segment")
            file.seek(start)
            footer = format.decode_footer(file.read(length), crc)
        except InvalidBytes as error:
            raise CorruptSegment(path, size, base, str(error)) from error
    if footer.content_end != start or footer.first_position != base:
        raise CorruptSegment(path, start, base, "footer belongs to another segment")
    return footer


def check_chain(segments: list[Segment]) -> None:
    """Every sealed segment is followed by the next one, with its hash in the header.

    Raises:
        MissingSegment, CorruptSegment.
    """
    for segment, following in itertools.pairwise(segments):
        if not segment.sealed:
            continue  # sealing it was interrupted; recovery does it again
        footer = read_footer(segment.path)
        if following.base_position != footer.last_position + 1:
            raise MissingSegment(
                following.path,
                0,
                footer.last_position + 1,
                f"begins at position {following.base_position}; a segment is missing",
            )
        if read_header(following.path).previous_hash != footer.content_hash:
            raise CorruptSegment(
                following.path,
                0,
                following.base_position,
                f"does not follow {segment.path.name}: another history, or a changed file",
            )


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
    data, start = b"", offset
    while end is None or offset < end:
        at = offset - start
        if len(data) - at < format.FRAME_HEADER_BYTES:
            data, start, at = os.pread(fd, _READ_BYTES, offset), offset, 0
            if not data:
                if end is None:
                    return
                raise BadFrame(offset, next_position, "segment is cut short")
        if end is None and not any(data[at : at + format.FRAME_HEADER_BYTES]):
            return
        try:
            header = format.decode_frame_header(data, at)
            if len(data) - at < header.length:
                need = max(header.length, _READ_BYTES)
                data, start, at = os.pread(fd, need, offset), offset, 0
            header = format.check_frame(data, at, seed)
            if header.base_position != next_position:
                raise InvalidBytes(
                    f"frame holds position {header.base_position}, expected {next_position}"
                )
        except InvalidBytes as error:
            raise BadFrame(offset, next_position, str(error)) from error
        yield Frame(offset, header, data, at)
        offset += header.length
        next_position += header.events
