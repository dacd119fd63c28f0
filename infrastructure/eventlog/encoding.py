"""Batches to frames: what a group commit writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from application.ports.event_store import StreamAppend
from infrastructure.eventlog import format
from infrastructure.eventlog.format import (
    FRAME_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    pack_record_header,
)

MAX_STREAMS_PER_BATCH: Final = 10_000
MAX_EVENTS_PER_STREAM: Final = 1_000
MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
MAX_NAME_BYTES: Final = 512

_FRAME_TARGET_BYTES: Final = 64 * 1024
"""A frame is closed when it is this long: a random read checks a whole frame."""

_type_bytes: Final[dict[str, bytes]] = {}


class EncodedFrame(NamedTuple):
    """A frame ready to be written."""

    data: bytes
    crc: int
    base_position: int
    runs: list[tuple[str, int, int, int]]
    """Stream, first version, number of events and the first one's byte offset in the frame, of
    each append in it, in order."""
    types: set[bytes]
    """Stored names of its events' types."""


def check_batch(batch: Sequence[StreamAppend]) -> tuple[int, int]:
    """Number of events of a batch within the port's limits, and its encoded size in bytes.

    Raises:
        ValueError: it breaks a limit.
        TypeError: a payload or metadata that is not bytes.
    """
    if not 1 <= len(batch) <= MAX_STREAMS_PER_BATCH:
        raise ValueError(f"a batch has 1 to {MAX_STREAMS_PER_BATCH} streams, not {len(batch)}")
    count = size = 0
    types, max_bytes = _type_bytes, format.MAX_EVENT_BYTES
    for append in batch:
        stream, events = append.stream, append.events
        number = len(events)
        if not 1 <= number <= MAX_EVENTS_PER_STREAM:
            raise ValueError(
                f"a stream has 1 to {MAX_EVENTS_PER_STREAM} events in a batch, not {number}"
            )
        name_bytes = len(stream) if stream.isascii() else len(stream.encode())
        if not 1 <= name_bytes <= MAX_NAME_BYTES:
            raise ValueError(f"a stream's name has 1 to {MAX_NAME_BYTES} bytes")
        count += number
        size += number * (RECORD_HEADER_BYTES + name_bytes)
        last_type = None
        for event in events:
            type_name, payload, metadata = event.type, event.payload, event.metadata
            if type(payload) is not bytes or type(metadata) is not bytes:
                raise TypeError("payload and metadata of an event are bytes")
            length = len(payload) + len(metadata)
            if length > max_bytes:
                raise ValueError(f"an event of {length} bytes; at most {max_bytes}")
            if type_name is not last_type:
                type_length = len(types.get(type_name) or _encode_type(type_name))
                last_type = type_name
            size += length + type_length
    if size > MAX_BATCH_BYTES:
        raise ValueError(f"a batch of {size} bytes; at most {MAX_BATCH_BYTES}")
    return count, size


class GroupEncoder:
    """Collects the batches of one group commit; a batch is never divided between frames."""

    def __init__(self, seed: int, next_position: int, timestamp_us: int) -> None:
        self.next_position = next_position
        self.timestamp_us = timestamp_us
        self.versions: dict[str, int] = {}
        """Stream -> its version with what this group adds."""
        self._seed = seed
        self._base = next_position
        self._parts: list[bytes] = []
        self._size = 0
        self._runs: list[tuple[str, int, int, int]] = []
        self._types: set[bytes] = set()
        self._frames: list[EncodedFrame] = []

    def add(self, batch: Sequence[StreamAppend], firsts: list[int], size: int) -> int:
        """Add a batch whose streams go on at the versions `firsts`, and whose size is `size`.

        Returns:
            Position of its last event.
        """
        if self._size >= _FRAME_TARGET_BYTES:
            self._close_frame()
        runs, types, parts = self._runs, _type_bytes, self._parts
        pack, seen = pack_record_header, self._types
        count = 0
        at, several = FRAME_HEADER_BYTES + self._size, len(batch) > 1
        # The hottest loop of the log: what an append's events share is made once.
        for append, version in zip(batch, firsts, strict=True):
            stream, events = append.stream, append.events
            name = stream.encode()
            name_length = len(name)
            number = len(events)
            runs.append((stream, version, number, at))
            count += number
            last_type = None
            for event in events:
                type_name, payload, metadata = event.type, event.payload, event.metadata
                if type_name is not last_type:
                    type_bytes = types.get(type_name) or _encode_type(type_name)
                    type_length = len(type_bytes)
                    names = name + type_bytes
                    last_type = type_name
                    seen.add(type_bytes)
                parts += (
                    pack(len(payload), version, name_length, type_length, len(metadata)),
                    names,
                    metadata,
                    payload,
                )
                version += 1
            if several:  # otherwise nobody asks where the next one begins
                at += number * (RECORD_HEADER_BYTES + name_length)
                for event in events:
                    at += len(types[event.type]) + len(event.metadata) + len(event.payload)
        self._size += size
        self.next_position += count
        return self.next_position - 1

    def finish(self) -> list[EncodedFrame]:
        """All frames of the group, in order."""
        self._close_frame()
        return self._frames

    def _close_frame(self) -> None:
        count = self.next_position - self._base
        if not count:
            return
        data, crc = format.encode_frame(
            self._seed,
            self._base,
            count,
            self.timestamp_us,
            self._parts,
            continues=bool(self._frames),
        )
        self._frames.append(EncodedFrame(data, crc, self._base, self._runs, self._types))
        self._base += count
        self._parts, self._runs, self._types, self._size = [], [], set(), 0


def _encode_type(type_name: str) -> bytes:
    encoded = type_name.encode()
    if not 1 <= len(encoded) <= MAX_NAME_BYTES:
        raise ValueError(f"an event type's name has 1 to {MAX_NAME_BYTES} bytes")
    if len(_type_bytes) < 10_000:
        _type_bytes[type_name] = encoded
    return encoded
