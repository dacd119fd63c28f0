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
_HEAD: Final = struct.Struct(">BQQ")
_LENGTH: Final = struct.Struct(">H")
_NAMES_AT: Final = _HEAD.size + format.RECORD_HEADER_BYTES
MAX_LEAF_BYTES: Final = _NAMES_AT + 2 * 512 + 64
"""Names have at most 512 bytes each."""
_LENGTHS_BEFORE: Final = [_LENGTH.pack(length) for length in range(MAX_LEAF_BYTES + 1)]
"""Made once: a leaf is built every few microseconds."""
_BYTES: Final = [bytes((value,)) for value in range(256)]
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


class Leaves(NamedTuple):
    """Leaves of events that follow each other."""

    leaves: list[bytes]
    """Canonical bytes."""
    hashes: list[bytes]
    """Of each leaf (RFC 9162 section 2.1.1)."""


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
    head = _HEAD.pack(LEAF_VERSION, leaf.recorded_us, leaf.position)
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
        known, recorded_us, position = _HEAD.unpack_from(data)
        header = unpack_record_header(data, _HEAD.size)
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


def frame_leaves(data: bytes, offset: int, header: FrameHeader) -> Leaves:
    """Leaves of a frame's events.

    The builder's hottest loop, whose time is three hashes out of four: a record's header and names
    are taken from the frame as they are, metadata, which the events of a command share, is hashed
    once, and a leaf is hashed while it is in the processor's cache.

    Args:
        data: Holds the frame.
        offset: Of the frame.
        header: Of the frame.

    Raises:
        InvalidBytes: the records do not fill the frame.
    """
    # Copies of a state are cheaper than new ones: OpenSSL looks for nothing.
    unpack, empty, prefixed = _LENGTHS.unpack_from, sha256().copy, sha256(b"\x00").copy
    found, hashes, join = list[bytes](), list[bytes](), b"".join
    add, add_hash = found.append, hashes.append
    at, record = offset + format.FRAME_HEADER_BYTES, format.RECORD_HEADER_BYTES
    known, hashed = b"", empty().digest()
    position, end = header.base_position, header.base_position + header.events
    try:
        while position < end:
            # Of up to 256 positions all bytes but the last are the same.
            begin = _HEAD.pack(LEAF_VERSION, header.timestamp_us, position)[:-1]
            for last in _BYTES[position & 255 : (position & 255) + end - position]:
                payload, stream, type, metadata = unpack(data, at)
                names_end = at + record + stream + type
                payload_at = names_end + metadata
                raw = data[names_end:payload_at]
                if raw != known:
                    state = empty()
                    state.update(raw)
                    known, hashed = raw, state.digest()
                state = empty()
                state.update(data[payload_at : payload_at + payload])
                leaf = join((begin, last, data[at:names_end], hashed, state.digest()))
                at = payload_at + payload
                add(leaf)
                state = prefixed()
                state.update(leaf)
                add_hash(state.digest())
            position = header.base_position + len(found)
    except struct.error as error:
        position = header.base_position + len(found)
        raise InvalidBytes(f"no record at position {position}: {error}") from error
    if at != offset + header.length - 4:
        raise InvalidBytes("records do not fill their frame")
    return Leaves(found, hashes)


def bundle(leaves: Sequence[bytes]) -> bytes:
    """An entry bundle (c2sp.org/tlog-tiles, "Log entries"): each leaf behind its length."""
    parts = [b""] * (2 * len(leaves))
    parts[::2] = [_LENGTHS_BEFORE[len(leaf)] for leaf in leaves]
    parts[1::2] = leaves
    return b"".join(parts)


def split_bundle(bundle: bytes) -> list[bytes]:
    """Leaves of an entry bundle (c2sp.org/tlog-tiles, "Log entries").

    Raises:
        ValueError: it is cut short.
    """
    found, at = [], 0
    while at < len(bundle):
        end = at + _LENGTH.size + int.from_bytes(bundle[at : at + _LENGTH.size], "big")
        if end > len(bundle):
            raise ValueError("an entry bundle that is cut short")
        found.append(bundle[at + _LENGTH.size : end])
        at = end
    return found
