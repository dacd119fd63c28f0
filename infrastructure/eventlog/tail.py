"""The end of the log that the index does not hold yet, in memory.

Events enter when they are durable and leave when a flush has put them into the index. Bounded by
the flush: it runs every second and whenever `FLUSH_EVENTS` have come together.
"""

import threading
from typing import Final

from infrastructure.eventlog.format import FrameHeader
from infrastructure.eventlog.index import Checkpoint, Index, Location

FLUSH_EVENTS: Final = 100_000
_FRAME_SPACING_BYTES: Final = 64 * 1024


class _Generation:
    """Events of one flush."""

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[int, Location]]] = {}
        self.frames: list[tuple[int, int]] = []
        self.events = 0
        self.checkpoint: Checkpoint | None = None


class StreamTail:
    """Look-ups by stream over the index and what is newer. Safe for several threads."""

    def __init__(self, index: Index, log_uuid: bytes) -> None:
        self._index = index
        self._log_uuid = log_uuid
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._now = _Generation()
        self._before: _Generation | None = None
        """On its way into the index."""
        self._last_frame = (0, 0)

    def add(
        self,
        segment_base: int,
        offset: int,
        header: FrameHeader,
        streams: list[tuple[str, int]],
    ) -> None:
        """A durable frame; `streams` has (stream, version) of each of its events, in order."""
        position = header.base_position
        with self._lock:
            now = self._now
            known = now.streams
            for number, (stream, version) in enumerate(streams):
                entry = (version, Location(position + number, offset, number))
                entries = known.get(stream)
                if entries is None:
                    known[stream] = [entry]
                else:
                    entries.append(entry)
            now.events += len(streams)
            last_base, last_offset = self._last_frame
            if last_base != segment_base or offset - last_offset >= _FRAME_SPACING_BYTES:
                now.frames.append((position, offset))
                self._last_frame = (segment_base, offset)
            now.checkpoint = Checkpoint(
                self._log_uuid,
                position + header.events - 1,
                segment_base,
                offset,
                header.crc,
            )

    @property
    def waiting(self) -> int:
        """Events that the next flush will take."""
        return self._now.events

    def last_version(self, stream: str) -> int:
        """Version of the stream's last durable event, -1: none."""
        with self._lock:
            for generation in (self._now, self._before):
                entries = generation.streams.get(stream) if generation else None
                if entries:
                    return entries[-1][0]
        return self._index.last_version(stream)

    def locations(self, stream: str, after_version: int, limit: int | None) -> list[Location]:
        """Locations of a stream's events in version order."""
        with self._lock:
            newer = [
                entry
                for generation in (self._before, self._now)
                if generation
                for entry in generation.streams.get(stream, ())
                if entry[0] > after_version
            ]
        if newer and newer[0][0] == after_version + 1:
            return [location for _, location in newer[:limit]]
        found = self._index.locations(stream, after_version, limit)
        # Between the two look-ups a flush may have moved events from the tail into the index.
        last = found[-1].position if found else 0
        found += [location for _, location in newer if location.position > last]
        return found[:limit]

    def flush(self) -> None:
        """Put what has come together into the index."""
        with self._flushing:
            with self._lock:
                generation = self._now
                if generation.checkpoint is None:
                    return
                self._before, self._now = generation, _Generation()
            self._index.add(generation.streams.items(), generation.frames, generation.checkpoint)
            with self._lock:
                self._before = None
