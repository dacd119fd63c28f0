"""The bytes of a segment: header, batch frame, record, footer. All integers little-endian.

Drawn in docs/formats/segment.md; golden bytes in tests/golden/segment.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import google_crc32c

from application.ports.event_store import RecordedEvent

FORMAT_VERSION: Final = 1
SEGMENT_MAGIC: Final = b"KEFULOG\x00"
FRAME_MAGIC: Final = b"KFRM"
FOOTER_MAGIC: Final = b"KFTR"
END_MAGIC: Final = b"KEFUEND\x00"

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
MAX_EVENT_BYTES: Final = 1024 * 1024

_SEGMENT_HEADER: Final = struct.Struct("<8sHHI16sQ32s")
SEGMENT_HEADER_BYTES: Final = _SEGMENT_HEADER.size + 4
"""76 bytes: 72 and their crc32c."""

_FRAME_HEADER: Final = struct.Struct("<4sIIIQQ")
FRAME_HEADER_BYTES: Final = _FRAME_HEADER.size
_FRAME_CRC: Final = struct.Struct("<IIQQ")
_CONTINUES: Final = 1 << 31
"""Set in a frame's count: it was written and flushed together with the frame before it."""
_LENGTH: Final = struct.Struct("<I")
FRAME_OVERHEAD: Final = FRAME_HEADER_BYTES + _LENGTH.size

_RECORD_HEADER: Final = struct.Struct("<IIHHI")
RECORD_HEADER_BYTES: Final = _RECORD_HEADER.size
pack_record_header: Final = _RECORD_HEADER.pack
unpack_record_header: Final = _RECORD_HEADER.unpack_from

_FOOTER: Final = struct.Struct("<4sIQQQQQ32s")
FOOTER_FIXED_BYTES: Final = _FOOTER.size + 4
"""84 bytes: 80 and their crc32c, so that opening a log need not read the stream index."""
_FOOTER_STREAM: Final = struct.Struct("<HII")
_FOOTER_END: Final = struct.Struct("<II8s")

_MAX_TYPE_NAMES: Final = 10_000
_type_names: Final[dict[bytes, str]] = {}
"""Decoded type names: a log has a few dozen, and each is decoded once instead of per event."""


class SegmentHeader(NamedTuple):
    """Identity of a segment and its place in the chain."""

    uuid: bytes
    base_position: int
    """Position of its first event."""
    previous_hash: bytes
    """SHA-256 over all content of the segment before it; zeros for the first."""


class FrameHeader(NamedTuple):
    """A batch frame without its records."""

    length: int
    """Whole frame, header and trailer included."""
    crc: int
    events: int
    base_position: int
    timestamp_us: int
    continues: bool = False
    """It belongs to the group commit of the frame before it; False: all frames before it were on
    disk before it was written."""


class Footer(NamedTuple):
    """What sealing adds to a segment."""

    events: int
    first_position: int
    last_position: int
    content_end: int
    """Offset at which the frames end and the footer begins."""
    last_timestamp_us: int
    """Of its last frame."""
    content_hash: bytes
    """SHA-256 of the bytes before the footer."""
    streams: int
    """How many streams have events here."""


StreamIndex = dict[str, tuple[int, int]]
"""Stream -> version of its last event in a segment, number of its events there."""


class InvalidBytes(ValueError):
    """Bytes that are no header, frame or footer; callers turn it into a located error."""


def encode_segment_header(header: SegmentHeader) -> bytes:
    """76 bytes."""
    body = _SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, 0, 0, *header)
    return body + _LENGTH.pack(google_crc32c.value(body))


def decode_segment_header(data: bytes) -> tuple[SegmentHeader, int]:
    """Header and format version.

    Raises:
        InvalidBytes: not a segment header.
    """
    if len(data) < SEGMENT_HEADER_BYTES:
        raise InvalidBytes("segment header is cut short")
    body = data[: _SEGMENT_HEADER.size]
    magic, version, _, _, uuid, base, previous = _SEGMENT_HEADER.unpack(body)
    if magic != SEGMENT_MAGIC:
        raise InvalidBytes("not a kefu log segment")
    (crc,) = _LENGTH.unpack_from(data, _SEGMENT_HEADER.size)
    if crc != google_crc32c.value(body):
        raise InvalidBytes("segment header fails its checksum")
    return SegmentHeader(uuid, base, previous), version


def frame_seed(uuid: bytes) -> int:
    """Where a segment's frame checksums begin: at the checksum of its uuid, so that bytes of
    another segment, or of this file's earlier life, can't validate.
    """
    return int(google_crc32c.value(uuid))


def encode_frame(
    seed: int,
    base_position: int,
    count: int,
    timestamp_us: int,
    parts: list[bytes],
    *,
    continues: bool = False,
) -> tuple[bytes, int]:
    """A batch frame around encoded records, and its checksum.

    `continues`: see `FrameHeader`.

    Raises:
        ValueError: over 64 MiB.
    """
    blob = b"".join(parts)
    length = len(blob) + FRAME_OVERHEAD
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a batch of {length} bytes; at most {MAX_FRAME_BYTES}")
    if continues:
        count |= _CONTINUES
    fields = _FRAME_CRC.pack(length, count, base_position, timestamp_us)
    crc = int(google_crc32c.extend(google_crc32c.extend(seed, fields), blob))
    header = _FRAME_HEADER.pack(FRAME_MAGIC, length, crc, count, base_position, timestamp_us)
    return b"".join((header, blob, _LENGTH.pack(length))), crc


def decode_frame_header(data: bytes, offset: int) -> FrameHeader:
    """The header at an offset; its checksum is checked by `check_frame` only.

    Raises:
        InvalidBytes: no frame begins here.
    """
    if len(data) - offset < FRAME_HEADER_BYTES:
        raise InvalidBytes("frame header is cut short")
    magic, length, crc, count, base, timestamp = _FRAME_HEADER.unpack_from(data, offset)
    if magic != FRAME_MAGIC:
        raise InvalidBytes("no frame begins here")
    events = count & ~_CONTINUES
    records = length - FRAME_OVERHEAD
    if length > MAX_FRAME_BYTES or not 0 < events * RECORD_HEADER_BYTES <= records:
        raise InvalidBytes("frame header is not plausible")
    return FrameHeader(length, crc, events, base, timestamp, count != events)


def check_frame(data: bytes, offset: int, seed: int) -> FrameHeader:
    """Header of the whole, intact frame at an offset.

    Raises:
        InvalidBytes: cut short, or it fails its checksum.
    """
    header = decode_frame_header(data, offset)
    end = offset + header.length
    if end > len(data):
        raise InvalidBytes("frame is cut short")
    if data[end - 4 : end] != _LENGTH.pack(header.length):
        raise InvalidBytes("frame's lengths differ")
    count = header.events | _CONTINUES if header.continues else header.events
    fields = _FRAME_CRC.pack(header.length, count, header.base_position, header.timestamp_us)
    blob = data[offset + FRAME_HEADER_BYTES : end - 4]
    if google_crc32c.extend(google_crc32c.extend(seed, fields), blob) != header.crc:
        raise InvalidBytes("frame fails its checksum")
    return header


def decode_records(data: bytes, offset: int, header: FrameHeader) -> Iterator[RecordedEvent]:
    """Events of a checked frame, in order.

    Raises:
        InvalidBytes: the records do not fill the frame; a checked frame never does this.
    """
    position = header.base_position
    timestamp = header.timestamp_us
    at = offset + FRAME_HEADER_BYTES
    end = offset + header.length - 4
    for _ in range(header.events):
        payload_length, version, stream_length, type_length, metadata_length = unpack_record_header(
            data, at
        )
        at += RECORD_HEADER_BYTES
        stream_end = at + stream_length
        type_end = stream_end + type_length
        metadata_end = type_end + metadata_length
        payload_end = metadata_end + payload_length
        raw_type = data[stream_end:type_end]
        type_name = _type_names.get(raw_type)
        if type_name is None:
            type_name = raw_type.decode()
            if len(_type_names) < _MAX_TYPE_NAMES:
                _type_names[raw_type] = type_name
        yield RecordedEvent(
            position,
            data[at:stream_end].decode(),
            version,
            type_name,
            timestamp,
            data[type_end:metadata_end],
            data[metadata_end:payload_end],
        )
        position += 1
        at = payload_end
    if at != end:
        raise InvalidBytes("records do not fill their frame")


def decode_record(
    data: bytes, offset: int, header: FrameHeader, position: int, record_offset: int, hops: int
) -> RecordedEvent:
    """One event of a checked frame, from the offset of a record within the frame: the records
    between the two are hopped over.

    Raises:
        InvalidBytes: it would not end within the frame.
        struct.error, UnicodeDecodeError: no record is there.
    """
    at = offset + record_offset
    end = offset + header.length - _LENGTH.size
    for _ in range(hops):
        payload_length, _, stream_length, type_length, metadata_length = unpack_record_header(
            data, at
        )
        at += RECORD_HEADER_BYTES + stream_length + type_length + metadata_length + payload_length
    payload_length, version, stream_length, type_length, metadata_length = unpack_record_header(
        data, at
    )
    stream_end = at + RECORD_HEADER_BYTES + stream_length
    type_end = stream_end + type_length
    metadata_end = type_end + metadata_length
    if metadata_end + payload_length > end:
        raise InvalidBytes("no record ends there")
    return RecordedEvent(
        position,
        data[at + RECORD_HEADER_BYTES : stream_end].decode(),
        version,
        data[stream_end:type_end].decode(),
        header.timestamp_us,
        data[type_end:metadata_end],
        data[metadata_end : metadata_end + payload_length],
    )


def encode_footer(footer: Footer, streams: StreamIndex) -> bytes:
    """Fixed part, stream index, then length, checksum and end magic (read from the end)."""
    parts = []
    for stream, (version, count) in streams.items():
        name = stream.encode()
        parts.append(_FOOTER_STREAM.pack(len(name), version, count) + name)
    fixed = _FOOTER.pack(FOOTER_MAGIC, footer.streams, *footer[:6])
    body = b"".join((fixed, _LENGTH.pack(google_crc32c.value(fixed)), *parts))
    return body + _FOOTER_END.pack(len(body), google_crc32c.value(body), END_MAGIC)


FOOTER_END_BYTES: Final = _FOOTER_END.size


def decode_footer_end(data: bytes) -> tuple[int, int]:
    """Length and checksum of the footer's body, from the last 16 bytes of a sealed segment.

    Raises:
        InvalidBytes: the segment is not sealed.
    """
    length, crc, magic = _FOOTER_END.unpack(data)
    if magic != END_MAGIC:
        raise InvalidBytes("segment has no footer")
    return length, crc


def decode_footer(body: bytes) -> Footer:
    """The footer from the fixed part of its body, by that part's own checksum.

    Raises:
        InvalidBytes: it fails its checksum.
    """
    if len(body) < FOOTER_FIXED_BYTES:
        raise InvalidBytes("segment footer is cut short")
    magic, streams, events, first, last, end, timestamp, content_hash = _FOOTER.unpack_from(body, 0)
    (crc,) = _LENGTH.unpack_from(body, _FOOTER.size)
    if magic != FOOTER_MAGIC or google_crc32c.value(body[: _FOOTER.size]) != crc:
        raise InvalidBytes("segment footer fails its checksum")
    return Footer(events, first, last, end, timestamp, content_hash, streams)


def decode_footer_streams(body: bytes, crc: int) -> StreamIndex:
    """The stream index from a footer's whole body.

    Raises:
        InvalidBytes: the body fails its checksum.
    """
    if google_crc32c.value(body) != crc:
        raise InvalidBytes("segment footer fails its checksum")
    index: StreamIndex = {}
    at = FOOTER_FIXED_BYTES
    while at < len(body):
        length, version, count = _FOOTER_STREAM.unpack_from(body, at)
        at += _FOOTER_STREAM.size
        index[body[at : at + length].decode()] = (version, count)
        at += length
    return index
