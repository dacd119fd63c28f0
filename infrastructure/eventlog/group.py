"""Batches that share one write and one fdatasync, from the queue to their answers."""

from collections.abc import Callable, Sequence

from application.ports.event_store import ANY_VERSION, NO_STREAM, WrongExpectedVersion
from infrastructure.eventlog.encoding import EncodedFrame, GroupEncoder
from infrastructure.eventlog.queue import Batch, Job, Outcome
from infrastructure.eventlog.tail import StreamTail


class Group:
    """Decided and encoded while the group before it is on its way to the disk.

    Args:
        seed: Of the segment that it will be written to.
        base_position: Of its first event.
        timestamp_us: Of all its events.
        before: The group that is being written, whose versions are not in the log's tail yet.
    """

    def __init__(
        self, seed: int, base_position: int, timestamp_us: int, before: "Group | None"
    ) -> None:
        self.base_position = base_position
        self.timestamp_us = timestamp_us
        self._encoder = GroupEncoder(seed, base_position, timestamp_us)
        self._before = before._encoder.versions if before is not None else {}
        self._jobs: list[Job] = []
        self._outcomes: list[list[Outcome]] = []

    @property
    def next_position(self) -> int:
        """Behind its last event."""
        return self._encoder.next_position

    @property
    def events(self) -> int:
        """How many it holds."""
        return self.next_position - self.base_position

    def add(self, jobs: Sequence[Job], tail: StreamTail) -> None:
        """Decide and encode; whatever is raised, the group must be refused."""
        self._jobs += jobs
        # Looked for together, streams that are about to begin cost a fraction; the tail remembers.
        tail.absent(
            append.stream
            for job in jobs
            for batch in job.batches
            for append in batch
            if append.expected_version == NO_STREAM
        )
        last_version = tail.last_version
        for job in jobs:
            self._outcomes.append(
                [
                    self._decide(batch, size, last_version)
                    for batch, size in zip(job.batches, job.sizes, strict=True)
                ]
            )

    def frames(self) -> list[EncodedFrame]:
        """What to write; call once, when nothing more is added."""
        return self._encoder.finish()

    def answer(self) -> None:
        """Tell the callers that it is on disk."""
        for job, outcome in zip(self._jobs, self._outcomes, strict=True):
            _answer(job, outcome)

    def refuse(self, error: Exception, more: Sequence[Job] = ()) -> None:
        """Tell the callers, and those of jobs that never came into it, that nothing of theirs was
        acknowledged.
        """
        for job in (*self._jobs, *more):
            _answer(job, error)

    def _decide(self, batch: Batch, size: int, last_version: Callable[[str], int]) -> Outcome:
        """Put a batch into the group, unless a stream of it is at another version."""
        versions = self._encoder.versions
        staged: dict[str, int] = {}
        firsts: list[int] = []
        for append in batch:
            stream, expected = append.stream, append.expected_version
            actual = staged.get(stream)
            if actual is None:
                actual = versions.get(stream)
                if actual is None:
                    actual = self._before.get(stream)
                    if actual is None:
                        actual = last_version(stream)
            if expected != actual and expected != ANY_VERSION:
                return WrongExpectedVersion(stream, expected, actual)
            firsts.append(actual + 1)
            staged[stream] = actual + len(append.events)
        versions.update(staged)
        return self._encoder.add(batch, firsts, size)


def _answer(job: Job, outcome: list[Outcome] | Exception) -> None:
    try:
        job.done(outcome)
    except Exception:  # noqa: BLE001 - the caller is gone (its loop is closed), others are not
        return
