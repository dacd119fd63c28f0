"""A leaf: what of an event the tree commits to. Drawn in docs/formats/transparency.md.

Only hashes of payload and metadata are in it: leaves are published, and stay valid when the key to
a payload's personal fields is destroyed.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.format import FrameHeader, InvalidBytes, unpack_record_header

LEAF_VERSION: Final = 1
_ENTRY: Final = struct.Struct(">HBQQ")
_LENGTH_BYTES: Final = 2
_NAMES_AT: Final = _ENTRY.size - _LENGTH_BYTES + format.RECORD_HEADER_BYTES
_FIXED_BYTES: Final = _ENTRY.size - _LENGTH_BYTES + 64
"""Of a leaf, without the record's header and its two names."""
_LENGTHS: Final = struct.Struct("<I4xHHI")
"""Of a record's header, without the version."""


class Leaf(NamedTuple):
    """A leaf's fields."""

    position: int
    recorded_us: int
    """Microseconds since 1970, UTC."""
    version: int
    stream: str
    type: str
    metadata_bytes: int
    metadata_sha256: bytes
    payload_bytes: int
    payload_sha256: bytes


def leaf_of(event: RecordedEvent) -> Leaf:
    """The leaf that commits to an event."""
    return Leaf(
        event.position,
        event.recorded_us,
        event.version,
        event.stream,
        event.type,
        len(event.metadata),
        sha256(event.metadata).digest(),
        len(event.payload),
        sha256(event.payload).digest(),
    )


def encode(leaf: Leaf) -> bytes:
    """A leaf's canonical bytes, over which it is hashed."""
    stream, type = leaf.stream.encode(), leaf.type.encode()
    length = _FIXED_BYTES + format.RECORD_HEADER_BYTES + len(stream) + len(type)
    head = _ENTRY.pack(length, LEAF_VERSION, leaf.recorded_us, leaf.position)[_LENGTH_BYTES:]
    record = format.pack_record_header(
        leaf.payload_bytes, leaf.version, len(stream), len(type), leaf.metadata_bytes
    )
    return b"".join((head, record, stream, type, leaf.metadata_sha256, leaf.payload_sha256))


def decode(data: bytes) -> Leaf:
    """A leaf from its canonical bytes.

    Raises:
        ValueError: they are none.
    """
    try:
        _, known, recorded_us, position = _ENTRY.unpack_from(b"\x00\x00" + data)
        header = unpack_record_header(data, _NAMES_AT - format.RECORD_HEADER_BYTES)
    except struct.error as error:
        raise ValueError("a leaf that is cut short") from error
    payload, version, stream, type, metadata = header
    if known != LEAF_VERSION:
        raise ValueError(f"a leaf of version {known}; this kefu knows {LEAF_VERSION}")
    if len(data) != _NAMES_AT + stream + type + 64:
        raise ValueError("a leaf's names do not fill it")
    names = data[_NAMES_AT:-64]
    return Leaf(
        position,
        recorded_us,
        version,
        names[:stream].decode(),
        names[stream:].decode(),
        metadata,
        data[-64:-32],
        payload,
        data[-32:],
    )


def frame_entries(data: bytes, offset: int, header: FrameHeader) -> list[bytes]:
    """Entries (a leaf behind its length, as they stand in entry bundles) of a frame's events.

    The builder's hottest loop: a record's header and names are taken from the frame as they are,
    and metadata, which the events of a command share, is hashed once.

    Args:
        data: Holds the frame.
        offset: Of the frame.
        header: Of the frame.

    Raises:
        InvalidBytes: the records do not fill the frame.
    """
    unpack, pack, digest = _LENGTHS.unpack_from, _ENTRY.pack, sha256
    entries: list[bytes] = []
    append, time = entries.append, header.timestamp_us
    at = offset + format.FRAME_HEADER_BYTES
    record, fixed = format.RECORD_HEADER_BYTES, _FIXED_BYTES
    known, hashed = b"", digest().digest()
    first = position = header.base_position
    try:
        for position in range(first, first + header.events):
            payload, stream, type, metadata = unpack(data, at)
            length = record + stream + type
            end = at + length
            payload_at = end + metadata
            raw = data[end:payload_at]
            if raw != known:
                known, hashed = raw, digest(raw).digest()
            append(
                pack(fixed + length, LEAF_VERSION, time, position)
                + data[at:end]
                + hashed
                + digest(data[payload_at : payload_at + payload]).digest()
            )
            at = payload_at + payload
    except struct.error as error:
        raise InvalidBytes(f"no record at position {position}: {error}") from error
    if at != offset + header.length - 4:
        raise InvalidBytes("records do not fill their frame")
    return entries


def entry_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """Leaf hashes (RFC 9162 section 2.1.1) of entries."""
    prefixed, hashes = sha256(b"\x00").copy, list[bytes]()
    append = hashes.append
    for entry in entries:
        state = prefixed()
        state.update(entry[_LENGTH_BYTES:])
        append(state.digest())
    return hashes


def split_bundle(bundle: bytes) -> list[bytes]:
    """Leaves of an entry bundle (c2sp.org/tlog-tiles, "Log entries").

    Raises:
        ValueError: it is cut short.
    """
    found, at = [], 0
    while at < len(bundle):
        end = at + _LENGTH_BYTES + int.from_bytes(bundle[at : at + _LENGTH_BYTES], "big")
        if end > len(bundle):
            raise ValueError("an entry bundle that is cut short")
        found.append(bundle[at + _LENGTH_BYTES : end])
        at = end
    return found
