"""The one writer: group commit in a thread of its own.

Take what waits, check expected versions, encode frames, one pwritev, one fdatasync, publish the
watermark, acknowledge. An idle log commits at once; under load a group is what came together
while the one before it was on its way to the disk.

A full disk refuses appends until there is space; any other failure to write ends appending for
good, because nobody knows what is on disk (https://wiki.postgresql.org/wiki/Fsync_Errors).
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from application.ports.event_store import ANY_VERSION, StoreReadOnly, WrongExpectedVersion
from infrastructure.eventlog.active import ActiveSegment
from infrastructure.eventlog.disk import Disk, DiskFull
from infrastructure.eventlog.encoding import EncodedFrame, GroupEncoder
from infrastructure.eventlog.queue import Batch, Done, Job, JobQueue, Outcome
from infrastructure.eventlog.sealing import Sealer
from infrastructure.eventlog.stats import LogStats
from infrastructure.eventlog.tail import FLUSH_EVENTS, MAX_EVENTS, StreamTail
from infrastructure.eventlog.watermark import Watermark, WatermarkWriter

MAX_SEGMENT_BYTES: Final = 200 * 1024 * 1024
MAX_SEGMENT_AGE_S: Final = 2 * 3600.0
_INDEX_FLUSH_S: Final = 30.0
_INDEX_RETRY_S: Final = 1.0
_ROLL_RETRY_S: Final = 5.0


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
        self._queue = JobQueue()
        self.stats = LogStats(self._queue)
        self.index_failure: str | None = None
        """Why the index could not be written the last time; it is tried again every second."""
        self._directory = directory
        self._active = active
        self._next = next_position
        self._last_us = last_timestamp_us
        self._tail = tail
        self._disk = disk
        self._max_bytes = max_segment_bytes
        self._max_age_s = max_segment_age_s
        self._failed: str | None = None
        self._full: str | None = None
        self._roll_not_before = 0.0
        self._sealer = Sealer(disk, self._fail)
        self._watermark = WatermarkWriter(directory)
        self._index_due = threading.Event()
        self._stopped = False
        self._publish()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._indexer = threading.Thread(target=self._index, name="log-indexer", daemon=True)
        self._thread.start()
        self._indexer.start()

    @property
    def failure(self) -> str | None:
        """Why the log takes no events, for good or until there is space; None: it does."""
        return self._failed or self._full

    @property
    def durable_position(self) -> int:
        """Position of the last event on disk."""
        return self._durable.position

    @property
    def watermark(self) -> Watermark:
        """How far readers may read."""
        return self._durable

    def submit(self, batches: Sequence[Batch], done: Done) -> None:
        """Queue batches; `done` is called in the writer's thread when they are on disk or failed.

        Raises:
            StoreReadOnly: the log takes no more events.
            Busy: too much is waiting.
            ValueError, TypeError: a batch breaks the port's rules.
        """
        self._queue.put(batches, done)

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
        self._queue.close("the log is closed")
        self._thread.join()
        self._stopped = True
        self._index_due.set()
        self._indexer.join()
        self._sealer.close()
        try:
            self._active.close()
        finally:
            self._watermark.close()

    # The writer's thread.

    def _run(self) -> None:
        while (group := self._queue.take(self._idle_s())) is not None:
            try:
                if self._seconds_to_roll() <= 0:
                    self._roll()
                if group:
                    self._commit(group)
            except Exception as error:  # noqa: BLE001 - this thread must live to refuse callers
                refused = self._fail(error)
                for job in group:
                    _answer(job, refused)

    def _commit(self, group: list[Job]) -> None:
        """Write a group and answer its callers; whatever is raised was not acknowledged."""
        if self._failed is not None:
            raise StoreReadOnly(self._failed)
        if self._tail.events > MAX_EVENTS and not self._flush_index():
            self._refuse(group, f"the index can't be written: {self.index_failure}")
            return
        encoder = GroupEncoder(self._active.seed, self._next, self._now_us())
        try:
            outcomes = [
                [
                    self._decide(encoder, batch, size)
                    for batch, size in zip(job.batches, job.sizes, strict=True)
                ]
                for job in group
            ]
            frames = encoder.finish()
        except Exception as error:  # noqa: BLE001 - nothing was written: these callers get it
            self._refuse(group, f"a batch could not be encoded: {type(error).__name__}: {error}")
            return
        try:
            self._write(frames, encoder)
            self._full = None
        except DiskFull as error:
            self._full = f"no space for more events ({error.strerror}); free some and send it again"
            self._refuse(group, self._full)
            return
        for job, outcome in zip(group, outcomes, strict=True):
            _answer(job, outcome)

    def _decide(self, encoder: GroupEncoder, batch: Batch, size: int) -> Outcome:
        """Put a batch into the group, unless a stream of it is at another version."""
        versions = encoder.versions
        staged: dict[str, int] = {}
        firsts: list[int] = []
        for append in batch:
            stream, expected = append.stream, append.expected_version
            actual = staged.get(stream)
            if actual is None:
                actual = versions.get(stream)
                if actual is None:
                    actual = self._tail.last_version(stream)
            if expected != actual and expected != ANY_VERSION:
                return WrongExpectedVersion(stream, expected, actual)
            firsts.append(actual + 1)
            staged[stream] = actual + len(append.events)
        versions.update(staged)
        return encoder.add(batch, firsts, size)

    def _write(self, frames: list[EncodedFrame], encoder: GroupEncoder) -> None:
        if not frames:
            return
        active = self._active
        offset = started_at = active.end
        started = time.perf_counter()
        active.append([frame.data for frame in frames], encoder.timestamp_us)
        seconds = time.perf_counter() - started
        for frame in frames:
            self._tail.add(active.base_position, offset, frame)
            active.count(frame.runs)
            offset += len(frame.data)
        events = encoder.next_position - self._next
        self._next = encoder.next_position
        self._last_us = encoder.timestamp_us
        self._publish()
        self.stats.committed(events, offset - started_at, len(frames), seconds)
        if self._tail.waiting >= FLUSH_EVENTS:
            self._index_due.set()

    def _publish(self) -> None:
        active = self._active
        self._durable = Watermark(self._next - 1, active.base_position, active.end)
        self._watermark.publish(self._durable)

    def _now_us(self) -> int:
        """Wall-clock time that never goes back along the log."""
        return max(time.time_ns() // 1000, self._last_us)

    def _idle_s(self) -> float | None:
        """How long to wait for a job before it is time to roll; None: as long as it takes."""
        if self._failed is not None:
            return None
        return max(self._seconds_to_roll(), self._roll_not_before - time.monotonic(), 0.0)

    def _seconds_to_roll(self) -> float:
        if not self._active.first_timestamp_us:
            return self._max_age_s  # an empty segment has no age
        if self._active.end >= self._max_bytes:
            return 0.0
        return self._max_age_s - (self._now_us() - self._active.first_timestamp_us) / 1e6

    def _roll(self) -> None:
        """Go on in a new segment; the full one is sealed in the background."""
        if self._failed is not None or time.monotonic() < self._roll_not_before:
            return
        full = self._active
        digest = full.content_hash()
        try:
            self._active = ActiveSegment.create(self._directory, self._next, digest, self._disk)
        except DiskFull:
            # Nothing is lost by going on in this segment; its own reservations say when to stop.
            self._roll_not_before = time.monotonic() + _ROLL_RETRY_S
            return
        self._publish()
        full.close()
        self.stats.segments_rolled += 1
        self._sealer.start(full.path, full.end, digest, full.footer(self._next))

    def _refuse(self, group: list[Job], reason: str) -> None:
        for job in group:
            _answer(job, StoreReadOnly(reason))

    def _fail(self, error: Exception) -> StoreReadOnly:
        """From now on the log is read-only: what is on disk is no longer certain."""
        if self._failed is None:
            self._failed = (
                f"the log is read-only after a failed write: {type(error).__name__}: {error}"
            )
        self._queue.close(self._failed)
        return StoreReadOnly(self._failed)

    # The index's thread.

    def _index(self) -> None:
        while not self._stopped:
            self._index_due.wait(_INDEX_RETRY_S if self.index_failure else _INDEX_FLUSH_S)
            self._index_due.clear()
            self._flush_index()
        while self._flush_index() and self._tail.events:
            pass

    def _flush_index(self) -> bool:
        try:
            self._tail.flush()
        except Exception as error:  # noqa: BLE001 - kept in memory, shown, tried again
            self.index_failure = f"{type(error).__name__}: {error}"
            return False
        self.index_failure = None
        return True


def _answer(job: Job, outcome: list[Outcome] | Exception) -> None:
    try:
        job.done(outcome)
    except Exception:  # noqa: BLE001 - the caller is gone (its loop is closed), others are not
        return
