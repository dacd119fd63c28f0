"""What both recorders of the `eventsourcing` library share: batches given to `insert_events`."""

import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from uuid import UUID, uuid4

from eventsourcing.persistence import ApplicationRecorder, StoredEvent

from benchmarks._peers.peer import Clock, Load, Sample, in_threads

STREAMS = 1_000
MAX_EVENTS = 120_000
"""Made before a run: its events are objects of their own, with ids and versions."""


def library() -> str:
    """Name and version of the library."""
    return f"eventsourcing {version('eventsourcing')}"


def insert_batches(
    recorder: ApplicationRecorder, load: Load, event_bytes: int, seconds: float
) -> Sample:
    """Insert batches of new events until the time, or what was prepared, is over."""
    batches = iter(list(_batches(load.batch, event_bytes)))
    clock = Clock(seconds)

    def produce() -> None:
        while clock.running():
            since = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            recorder.insert_events(batch)
            clock.acked(len(batch), since)

    in_threads(load.producers, produce)
    return clock.sample()


def _batches(size: int, event_bytes: int) -> Iterator[Sequence[StoredEvent]]:
    """Batches over many streams, each of which goes on by a few events a time, as ours do."""
    streams = [uuid4() for _ in range(STREAMS)]
    versions: dict[UUID, int] = {}
    state = b"x" * event_bytes
    batch: list[StoredEvent] = []
    for number in range(MAX_EVENTS):
        stream = streams[number // 8 * 7919 % STREAMS]
        version = versions[stream] = versions.get(stream, -1) + 1
        batch.append(StoredEvent(stream, version, "bench.event.v1", state))
        if len(batch) == size:
            yield batch
            batch = []
