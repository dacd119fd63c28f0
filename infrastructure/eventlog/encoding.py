"""Batches to frames: what a group commit writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from application.ports.event_store import StreamAppend
from infrastructure.eventlog import format
from infrastructure.eventlog.format import pack_record_header

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
    streams: list[tuple[str, int]]
    """Stream and version of each of its events."""


def check_batch(batch: Sequence[StreamAppend]) -> int:
    """Number of events of a batch within the port's limits.

    Raises:
        ValueError: it breaks one.
    """
    if not 1 <= len(batch) <= MAX_STREAMS_PER_BATCH:
        raise ValueError(f"a batch has 1 to {MAX_STREAMS_PER_BATCH} streams, not {len(batch)}")
    count = 0
    size = 0
    for append in batch:
        events = append.events
        if not 1 <= len(events) <= MAX_EVENTS_PER_STREAM:
            raise ValueError(
                f"a stream has 1 to {MAX_EVENTS_PER_STREAM} events in a batch, not {len(events)}"
            )
        if not 1 <= len(append.stream.encode()) <= MAX_NAME_BYTES:
            raise ValueError(f"a stream's name has 1 to {MAX_NAME_BYTES} bytes")
        count += len(events)
        for type_name, payload, metadata in events:
            if type_name not in _type_bytes:
                _encode_type(type_name)
            length = len(payload) + len(metadata)
            size += length
            if length > format.MAX_EVENT_BYTES:
                raise ValueError(f"an event of {length} bytes; at most {format.MAX_EVENT_BYTES}")
    if size > MAX_BATCH_BYTES:
        raise ValueError(f"a batch of {size} bytes; at most {MAX_BATCH_BYTES}")
    return count


class GroupEncoder:
    """Collects the batches of one group commit; a batch is never divided between frames."""

    def __init__(self, seed: int, next_position: int, timestamp_us: int) -> None:
        self.next_position = next_position
        self.timestamp_us = timestamp_us
        self.events = 0
        self.versions: dict[str, int] = {}
        """Stream -> its version with what this group adds."""
        self._seed = seed
        self._base = next_position
        self._parts: list[bytes] = []
        self._size = 0
        self._streams: list[tuple[str, int]] = []
        self._frames: list[EncodedFrame] = []

    def add(self, batch: Sequence[StreamAppend], firsts: list[int]) -> int:
        """Add a batch whose streams go on at the versions `firsts`.

        Returns:
            Position of its last event.
        """
        if self._size >= _FRAME_TARGET_BYTES:
            self._close_frame()
        parts, streams = self._parts, self._streams
        count = size = 0
        for append, version in zip(batch, firsts, strict=True):
            stream = append.stream
            name = stream.encode()
            name_length = len(name)
            for type_name, payload, metadata in append.events:
                type_bytes = _type_bytes.get(type_name) or _encode_type(type_name)
                payload_length = len(payload)
                metadata_length = len(metadata)
                parts += (
                    pack_record_header(
                        payload_length, version, name_length, len(type_bytes), metadata_length
                    ),
                    name,
                    type_bytes,
                    metadata,
                    payload,
                )
                streams.append((stream, version))
                size += payload_length + metadata_length
                version += 1
                count += 1
        self._size += size
        self.events += count
        self.next_position += count
        return self.next_position - 1

    def finish(self) -> list[EncodedFrame]:
        """All frames of the group, in order."""
        self._close_frame()
        return self._frames

    def _close_frame(self) -> None:
        if not self._streams:
            return
        count = len(self._streams)
        data = format.encode_frame(self._seed, self._base, count, self.timestamp_us, self._parts)
        self._frames.append(EncodedFrame(data, self._streams))
        self._base += count
        self._parts, self._streams, self._size = [], [], 0


def _encode_type(type_name: str) -> bytes:
    encoded = type_name.encode()
    if not 1 <= len(encoded) <= MAX_NAME_BYTES:
        raise ValueError(f"an event type's name has 1 to {MAX_NAME_BYTES} bytes")
    if len(_type_bytes) < 10_000:
        _type_bytes[type_name] = encoded
    return encoded
