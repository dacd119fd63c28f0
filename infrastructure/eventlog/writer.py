"""The one writer: group commit in a thread of its own.

Drain the queue, check expected versions, encode frames, one pwritev, one fdatasync, publish the
watermark, acknowledge. An idle log commits at once; under load a group is what came together
while the one before it was on its way to the disk.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, NamedTuple

from application.ports.event_store import (
    ANY_VERSION,
    StoreReadOnly,
    StreamAppend,
    WrongExpectedVersion,
)
from infrastructure.eventlog import format, sealing
from infrastructure.eventlog.active import ActiveSegment
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.encoding import GroupEncoder, check_batch
from infrastructure.eventlog.stats import LogStats
from infrastructure.eventlog.tail import FLUSH_EVENTS, StreamTail
from infrastructure.eventlog.watermark import Watermark, WatermarkWriter

Batch = Sequence[StreamAppend]
Outcome = int | WrongExpectedVersion
"""Last position of a batch, or why it was refused."""

MAX_SEGMENT_BYTES: Final = 200 * 1024 * 1024
MAX_SEGMENT_AGE_S: Final = 2 * 3600.0
_MAX_GROUP_EVENTS: Final = 4096
_INDEX_FLUSH_S: Final = 1.0


class _Job(NamedTuple):
    batches: Sequence[Batch]
    events: int
    done: Callable[[list[Outcome] | Exception], None]


class LogWriter:
    """Takes batches from any thread; owns the active segment."""

    def __init__(
        self,
        directory: Path,
        active: ActiveSegment,
        next_position: int,
        last_timestamp_us: int,
        tail: StreamTail,
        *,
        disk: Disk,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        max_segment_age_s: float = MAX_SEGMENT_AGE_S,
    ) -> None:
        self.stats = LogStats()
        self.failure: str | None = None
        """Why the log takes no more events; None: it does."""
        self._directory = directory
        self._active = active
        self._next = next_position
        self._last_us = last_timestamp_us
        self._tail = tail
        self._disk = disk
        self._max_bytes = max_segment_bytes
        self._max_age_s = max_segment_age_s
        self._watermark = WatermarkWriter(directory)
        self._queue: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._index_due = threading.Event()
        self._sealers: list[threading.Thread] = []
        self._publish()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._indexer = threading.Thread(target=self._index, name="log-indexer", daemon=True)
        self._thread.start()
        self._indexer.start()

    @property
    def durable_position(self) -> int:
        """Position of the last event on disk."""
        return self._durable.position

    @property
    def watermark(self) -> Watermark:
        """How far readers may read."""
        return self._durable

    def submit(
        self,
        batches: Sequence[Batch],
        done: Callable[[list[Outcome] | Exception], None],
    ) -> None:
        """Queue batches; `done` is called in the writer's thread when they are on disk or failed.

        Raises:
            StoreReadOnly: the log takes no more events.
            ValueError: a batch breaks a limit of the port.
        """
        events = sum(map(check_batch, batches))
        with self._wake:
            if self.failure is not None:
                raise StoreReadOnly(self.failure)
            if self._closing:
                raise StoreReadOnly("the log is closed")
            self._queue.append(_Job(batches, events, done))
            self.stats.queue_depth += events
            self._wake.notify()

    def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        """As `submit`, for threads that wait."""
        future: Future[list[Outcome]] = Future()

        def done(outcome: list[Outcome] | Exception) -> None:
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(batches, done)
        return future.result()

    def close(self) -> None:
        """Write what is queued, flush the index, release files."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._index_due.set()
        self._thread.join()
        self._indexer.join()
        for sealer in self._sealers:
            sealer.join()
        self._active.close()
        self._watermark.close()

    # The writer's thread.

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._queue and not self._closing:
                    self._wake.wait(self._seconds_to_roll())
                if self._closing and not self._queue:
                    return
                group = self._take_group()
            if self._seconds_to_roll() <= 0 and self.failure is None:
                self._guard(self._roll)
            if group:
                self._commit(group)

    def _take_group(self) -> list[_Job]:
        group: list[_Job] = []
        events = 0
        while self._queue and (not group or events + self._queue[0].events <= _MAX_GROUP_EVENTS):
            job = self._queue.popleft()
            group.append(job)
            events += job.events
        self.stats.queue_depth -= events
        return group

    def _commit(self, group: list[_Job]) -> None:
        outcomes: list[list[Outcome]] = []
        encoder = GroupEncoder(self._active.seed, self._next, self._now_us())
        try:
            if self.failure is not None:
                raise StoreReadOnly(self.failure)
            for job in group:
                outcomes.append([self._decide(encoder, batch) for batch in job.batches])
            self._write(encoder)
        except Exception as error:  # noqa: BLE001 - every waiting caller gets it
            refused = error if isinstance(error, StoreReadOnly) else self._fail(error)
            for job in group:
                job.done(refused)
            return
        for job, outcome in zip(group, outcomes, strict=True):
            job.done(outcome)
        if self._active.end >= self._max_bytes:
            self._guard(self._roll)

    def _decide(self, encoder: GroupEncoder, batch: Batch) -> Outcome:
        """Put a batch into the group, unless a stream of it is at another version."""
        versions = encoder.versions
        staged: dict[str, int] = {}
        firsts: list[int] = []
        for append in batch:
            stream = append.stream
            actual = staged.get(stream)
            if actual is None:
                actual = versions.get(stream)
                if actual is None:
                    actual = self._tail.last_version(stream)
            expected = append.expected_version
            if expected not in (actual, ANY_VERSION):
                return WrongExpectedVersion(stream, expected, actual)
            firsts.append(actual + 1)
            staged[stream] = actual + len(append.events)
        versions.update(staged)
        return encoder.add(batch, firsts)

    def _write(self, encoder: GroupEncoder) -> None:
        frames = encoder.finish()
        if not frames:
            return
        active = self._active
        size = sum(len(frame.data) for frame in frames)
        offset = active.end
        started = time.perf_counter()
        active.append([frame.data for frame in frames], encoder.timestamp_us)
        seconds = time.perf_counter() - started
        for frame in frames:
            header = format.decode_frame_header(frame.data, 0)
            self._tail.add(active.base_position, offset, header, frame.streams)
            offset += len(frame.data)
        self._next = encoder.next_position
        self._last_us = encoder.timestamp_us
        self._publish()
        self.stats.committed(encoder.events, size, len(frames), seconds)
        if self._tail.waiting >= FLUSH_EVENTS:
            self._index_due.set()

    def _publish(self) -> None:
        active = self._active
        self._durable = Watermark(self._next - 1, active.base_position, active.end)
        self._watermark.publish(self._durable)

    def _now_us(self) -> int:
        """Wall-clock time that never goes back along the log."""
        return max(time.time_ns() // 1000, self._last_us)

    def _seconds_to_roll(self) -> float:
        if not self._active.first_timestamp_us:
            return self._max_age_s  # an empty segment has no age
        return self._max_age_s - (self._now_us() - self._active.first_timestamp_us) / 1e6

    def _roll(self) -> None:
        """Go on in a new segment; the full one is sealed in the background."""
        full = self._active
        digest = full.content_hash()
        self._active = ActiveSegment.create(self._directory, self._next, digest, self._disk)
        self._publish()
        full.close()
        self.stats.segments_rolled += 1
        self._sealers = [sealer for sealer in self._sealers if sealer.is_alive()]
        sealer = threading.Thread(
            target=self._guard,
            args=(lambda: sealing.seal(full.path, full.end, digest),),
            name="log-sealer",
        )
        self._sealers.append(sealer)
        sealer.start()

    def _guard(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - shown in health output and to every caller
            self._fail(error)

    def _fail(self, error: Exception) -> StoreReadOnly:
        """From now on the log is read-only: what is on disk is no longer certain."""
        reason = f"the log is read-only after a failed write: {type(error).__name__}: {error}"
        with self._wake:
            self.failure = self.failure or reason
            waiting, self._queue = list(self._queue), deque()
            self.stats.queue_depth = 0
        refused = StoreReadOnly(self.failure)
        for job in waiting:
            job.done(refused)
        return refused

    # The index's thread.

    def _index(self) -> None:
        while not self._closing:
            self._index_due.wait(_INDEX_FLUSH_S)
            self._index_due.clear()
            self._guard(self._tail.flush)
        self._thread.join()
        self._guard(self._tail.flush)
