"""Batches on their way to the writer: a bounded queue, taken in groups."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from application.ports.event_store import StoreReadOnly, StreamAppend, WrongExpectedVersion
from domain.errors import Busy
from infrastructure.eventlog.encoding import check_batch

Batch = Sequence[StreamAppend]
Outcome = int | WrongExpectedVersion
"""Last position of a batch, or why it was refused."""
Done = Callable[[list[Outcome] | Exception], None]

MAX_GROUP_EVENTS: Final = 8192
"""Enough that a slow disk is not what limits; a group is rarely as large."""
MAX_GROUP_BYTES: Final = 16 * 1024 * 1024
MAX_QUEUE_BYTES: Final = 256 * 1024 * 1024


class Job(NamedTuple):
    """Batches whose caller waits for all of them."""

    batches: Sequence[Batch]
    sizes: Sequence[int]
    """Encoded bytes of each batch."""
    events: int
    bytes: int
    done: Done


class JobQueue:
    """Any thread puts jobs in; the writer's thread takes groups of them out."""

    def __init__(self) -> None:
        self.depth = 0
        """Events that wait."""
        self._bytes = 0
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closed: str | None = None
        self._nudged = False

    def put(self, batches: Sequence[Batch], done: Done) -> None:
        """Queue batches.

        Raises:
            Busy: more than 256 MiB wait already.
            StoreReadOnly: the queue was closed, with this reason.
            ValueError, TypeError: a batch breaks the port's rules.
        """
        events = 0
        sizes: list[int] = []
        for batch in batches:
            batch_events, batch_bytes = check_batch(batch)
            events += batch_events
            sizes.append(batch_bytes)
        size = sum(sizes)
        with self._wake:
            if self._closed is not None:
                raise StoreReadOnly(self._closed)
            if self._jobs and self._bytes + size > MAX_QUEUE_BYTES:
                raise Busy("Too much is waiting to be written; try again in a moment.")
            self._jobs.append(Job(batches, sizes, events, size, done))
            self.depth += events
            self._bytes += size
            self._wake.notify()

    def take(self, timeout_s: float | None, room: int) -> list[Job] | None:
        """Jobs with at most `room` events (one job at least, unless there is no room): empty when
        the time is over or after a `nudge`, None when the queue is closed and empty.
        """
        with self._wake:
            if not self._nudged and not (self._jobs and room > 0) and not self._over:
                self._wake.wait(timeout_s)
            self._nudged = False
            if self._over:
                return None
            group: list[Job] = []
            events = size = 0
            while self._jobs and room > 0:
                job = self._jobs[0]
                events += job.events
                size += job.bytes
                if group and (events > room or size > MAX_GROUP_BYTES):
                    break
                group.append(self._jobs.popleft())
                self.depth -= job.events
                self._bytes -= job.bytes
            return group

    @property
    def _over(self) -> bool:
        return self._closed is not None and not self._jobs

    def nudge(self) -> None:
        """Let `take` return."""
        with self._wake:
            self._nudged = True
            self._wake.notify()

    def close(self, reason: str) -> None:
        """Take no more jobs; those that wait may still be taken out."""
        with self._wake:
            self._closed = self._closed or reason
            self._wake.notify()
