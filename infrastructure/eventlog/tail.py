"""The end of the log that the index does not hold yet, in memory.

Events enter when they are durable and leave when a flush has put them into the index. A flush
runs whenever `FLUSH_EVENTS` have come together, and now and then: what it has not reached is
indexed again at the next start. When the index can't be written, the writer stops at `MAX_EVENTS`.
"""

import threading
from collections.abc import Iterable
from itertools import islice
from typing import Final

from infrastructure.eventlog.encoding import EncodedFrame
from infrastructure.eventlog.index import Checkpoint, Index, Location, expand
from infrastructure.eventlog.table import Run

FLUSH_EVENTS: Final = 100_000
MAX_EVENTS: Final = 1_000_000
_MAX_VERSIONS: Final = 100_000
_MAX_ABSENT: Final = 20_000
"""Some group commits' worth; then it begins anew."""


class _Generation:
    """Events of one flush."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Run]] = {}
        self.events = 0
        self.first = 0
        """Position of its first event."""
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
        self._flushes = 0
        self._versions: dict[str, int] = {}
        """Last versions of streams that go on, the oldest first; bounded."""
        self._absent: set[str] = set()
        """Streams that were looked for and do not exist: a new stream is looked for when a command
        is decided and again when it is written, and the index is asked once."""

    def add(self, segment_base: int, offset: int, frame: EncodedFrame) -> None:
        """A durable frame and where it was written."""
        position = frame.base_position
        with self._lock:
            now = self._now
            known, absent, versions = now.streams, self._absent, self._versions
            for stream, first, count, at in frame.runs:
                run = (first, count, position, offset, at)
                runs = known.get(stream)
                if runs is None:
                    known[stream] = [run]
                    absent.discard(stream)
                else:
                    runs.append(run)
                if first:  # one that has just begun is in `now`, and most never go on
                    versions[stream] = first + count - 1
                position += count
            if len(versions) > _MAX_VERSIONS:
                for stream in list(islice(versions, _MAX_VERSIONS // 8)):
                    del versions[stream]
            now.events += position - frame.base_position
            now.first = now.first or frame.base_position
            now.checkpoint = Checkpoint(
                self._log_uuid, now.first, position - 1, segment_base, offset, frame.crc
            )

    @property
    def waiting(self) -> int:
        """Events that no flush has taken yet."""
        return self._now.events

    @property
    def events(self) -> int:
        """All events that are not in the index yet."""
        before = self._before
        return self._now.events + (before.events if before else 0)

    def last_version(self, stream: str) -> int:
        """Version of the stream's last durable event, -1: none."""
        flushes = self._flushes
        # Without the lock, for the writer's sake: a generation that is read here and flushed
        # meanwhile still holds what it held, and `now` is read before `before`.
        for generation in (self._now, self._before):
            runs = generation.streams.get(stream) if generation else None
            if runs:
                first, count, *_ = runs[-1]
                return first + count - 1
        version = self._versions.get(stream, -1)
        if version >= 0 or stream in self._absent:
            return version
        # Had a flush just moved it from one to the other, then it is in the index now.
        version = self._index.last_version(stream)
        if version < 0:
            self._remember_absent(stream, flushes)
        return version

    def locations(self, stream: str, after_version: int, limit: int | None) -> list[Location]:
        """Locations of the stream's events with `version > after_version`, in version order."""
        newer: list[Run] = []
        with self._lock:
            for generation in (self._before, self._now):
                runs = generation.streams.get(stream) if generation else None
                if runs:
                    newer += [run for run in runs if run[0] + run[1] - 1 > after_version]
            if not newer and stream in self._absent:
                return []
            flushes = self._flushes
        if newer and newer[0][0] <= after_version + 1:
            return expand(newer, after_version, limit)
        runs = self._index.runs(stream, after_version, limit)
        if not runs and not newer:
            if after_version < 0:
                self._remember_absent(stream, flushes)
            return []
        # Between the two look-ups a flush may have moved runs from the tail into the index.
        last = runs[-1][2] if runs else 0
        runs += [run for run in newer if run[2] > last]
        return expand(runs, after_version, limit)

    def absent(self, streams: Iterable[str]) -> set[str]:
        """Those of the streams that have no durable event."""
        with self._lock:
            known = self._absent
            unknown = []
            found = set()
            for stream in streams:
                if stream in known:
                    found.add(stream)
                elif not self._holds(stream):
                    unknown.append(stream)
            flushes = self._flushes
        if not unknown:
            return found
        missing = self._index.absent(unknown)
        with self._lock:
            if flushes == self._flushes:
                fresh = {stream for stream in missing if not self._holds(stream)}
                if len(self._absent) + len(fresh) > _MAX_ABSENT:
                    self._absent.clear()
                self._absent |= fresh
                return found | fresh
        # A flush came between: what was in memory then may be in the index now.
        return found | {stream for stream in missing if self.last_version(stream) < 0}

    def _holds(self, stream: str) -> bool:
        before = self._before
        return stream in self._now.streams or (before is not None and stream in before.streams)

    def _remember_absent(self, stream: str, flushes: int) -> None:
        """The index, asked after that many flushes, did not know the stream."""
        with self._lock:
            if flushes != self._flushes or self._holds(stream):
                return  # it may have come, and even have gone into the index, meanwhile
            if len(self._absent) >= _MAX_ABSENT:
                self._absent.clear()
            self._absent.add(stream)

    def flush(self) -> bool:
        """Put what has come together into the index; what failed before comes first.

        Returns:
            Whether there was anything.

        Raises:
            OSError: everything stays in memory, to be tried again.
        """
        with self._flushing:
            with self._lock:
                if self._before is None:
                    if self._now.checkpoint is None:
                        return False
                    self._before, self._now = self._now, _Generation()
                generation = self._before
            assert generation.checkpoint is not None
            self._index.add(generation.streams.items(), generation.checkpoint)
            with self._lock:
                self._before = None
                self._flushes += 1
        return True
