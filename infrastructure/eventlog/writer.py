"""The one writer: group commit that never waits for the disk with work at hand.

Two threads. This one takes what waits in the queue, checks expected versions and encodes frames
into the open group; the committer writes the group before it: one pwritev, one fdatasync, publish
the watermark, acknowledge. An idle log commits at once and in one thread; under load a group is
what came together while the one before it was on its way to the disk.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Final

from application.ports.event_store import StoreReadOnly
from infrastructure.eventlog.active import ActiveSegment
from infrastructure.eventlog.committer import Committer
from infrastructure.eventlog.disk import Disk, DiskFull
from infrastructure.eventlog.group import Group
from infrastructure.eventlog.indexing import IndexKeeper
from infrastructure.eventlog.maps import MapKeeper
from infrastructure.eventlog.queue import MAX_GROUP_EVENTS, Batch, Done, Job, JobQueue, Outcome
from infrastructure.eventlog.sealing import Sealer
from infrastructure.eventlog.stats import LogStats
from infrastructure.eventlog.tail import MAX_EVENTS, StreamTail
from infrastructure.eventlog.watermark import Watermark

MAX_SEGMENT_BYTES: Final = 200 * 1024 * 1024
MAX_SEGMENT_AGE_S: Final = 2 * 3600.0
_ROLL_RETRY_S: Final = 5.0
_INLINE_EVENTS: Final = 64
"""Below it, and with nothing else to do, another thread would cost more than it saves."""


class LogWriter:
    """Takes batches from any thread."""

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
        self._directory = directory
        self._last_us = last_timestamp_us
        self._tail = tail
        self._disk = disk
        self._max_bytes = max_segment_bytes
        self._max_age_s = max_segment_age_s
        self._roll_not_before = 0.0
        self._open: Group | None = None
        """What comes together while another group is in flight."""
        self._index = IndexKeeper(tail)
        self._committer = Committer(
            directory,
            active,
            next_position - 1,
            tail,
            self.stats,
            finished=self._finished,
            failed=self._queue.close,
        )
        self._sealer = Sealer(disk, self._committer.fail)
        self._maps = MapKeeper(directory)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str | None:
        """Why the log takes no events, for good or until there is space; None: it does."""
        return self._committer.failed or self._committer.full

    @property
    def index_failure(self) -> str | None:
        """Why the index could not be written the last time; it is tried again every second."""
        return self._index.failure

    @property
    def maps(self) -> MapKeeper:
        """Makes the maps of sealed segments."""
        return self._maps

    @property
    def durable_position(self) -> int:
        """Position of the last event on disk."""
        return self._committer.durable.position

    @property
    def watermark(self) -> Watermark:
        """How far readers may read."""
        return self._committer.durable

    def submit(self, batches: Sequence[Batch], done: Done) -> None:
        """Queue batches; `done` is called in a thread of the log's when they are on disk or failed.

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
        self._index.close()
        self._sealer.close()
        self._maps.close()
        self._committer.close()

    def _finished(self) -> None:
        self._index.look()
        self._queue.nudge()

    # The writer's thread.

    def _run(self) -> None:
        while (jobs := self._queue.take(self._idle_s(), self._room())) is not None:
            try:
                if jobs:
                    self._encode(jobs)
                self._hand_over()
            except Exception as error:  # noqa: BLE001 - this thread must live to refuse callers
                self._give_up(self._committer.fail(error), jobs)
        self._committer.wait_idle()
        if self._open is not None:
            self._committer.commit(self._open)

    def _room(self) -> int:
        """Events that the open group still takes."""
        return MAX_GROUP_EVENTS - (self._open.events if self._open is not None else 0)

    def _encode(self, jobs: list[Job]) -> None:
        """Put jobs into the open group."""
        group = self._open
        if group is None:
            if self._tail.events > MAX_EVENTS and not self._index.flush():
                reason = f"the index can't be written: {self._index.failure}"
                self._give_up(StoreReadOnly(reason), jobs)
                return
            group = self._open = self._new_group()
        try:
            group.add(jobs, self._tail)
        except Exception as error:  # noqa: BLE001 - nothing was written: these callers get it
            reason = f"a batch could not be encoded: {type(error).__name__}: {error}"
            self._give_up(StoreReadOnly(reason), ())

    def _new_group(self) -> Group:
        if self._seconds_to_roll() <= 0:
            self._committer.wait_idle()
            self._roll()
        before = self._committer.flight
        base = before.next_position if before else self._committer.durable.position + 1
        self._last_us = self._now_us()
        return Group(self._committer.active.seed, base, self._last_us, before)

    def _hand_over(self) -> None:
        """Send the open group on its way, if the one before it has arrived."""
        committer, group = self._committer, self._open
        if committer.flight is not None:
            return
        if group is None:
            if self._seconds_to_roll() <= 0:
                self._roll()
            return
        self._open = None
        if group.events < _INLINE_EVENTS and not self._queue.depth:
            committer.commit(group)
        else:
            committer.start(group)

    def _give_up(self, error: Exception, jobs: Sequence[Job]) -> None:
        """Refuse the open group, and jobs that are not in it."""
        group, self._open = self._open or Group(0, 0, 0, None), None
        group.refuse(error, jobs)

    def _now_us(self) -> int:
        """Wall-clock time that never goes back along the log."""
        return max(time.time_ns() // 1000, self._last_us)

    def _idle_s(self) -> float | None:
        """How long to wait for a job before it is time to roll; None: as long as it takes."""
        if self._committer.failed is not None:
            return None
        return max(self._seconds_to_roll(), self._roll_not_before - time.monotonic(), 0.0)

    def _seconds_to_roll(self) -> float:
        active = self._committer.active
        if not active.first_timestamp_us:
            return self._max_age_s  # an empty segment has no age
        if active.end >= self._max_bytes:
            return 0.0
        return self._max_age_s - active.age_s

    def _roll(self) -> None:
        """Go on in a new segment; the full one is sealed in the background."""
        committer = self._committer
        if committer.failed is not None or time.monotonic() < self._roll_not_before:
            return
        full, last = committer.active, committer.durable.position
        digest = full.content_hash()
        try:
            active = ActiveSegment.create(self._directory, last + 1, digest, self._disk)
        except DiskFull:
            # Nothing is lost by going on in this segment; its own reservations say when to stop.
            self._roll_not_before = time.monotonic() + _ROLL_RETRY_S
            return
        committer.active = active
        committer.publish(last)
        full.close()
        self.stats.segments_rolled += 1
        footer, mapped = full.footer(last + 1), partial(self._maps.sealed, frames=full.map)
        self._sealer.start(full.path, full.end, digest, footer, mapped)
