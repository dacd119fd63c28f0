"""What the benchmark asks of a peer, and how it is measured.

A peer is tried briefly with each of its loads and then measured with the best one, so that nobody
is compared at a batch size that does not suit it.
"""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from benchmarks.report import percentile

TRIAL_SHARE = 0.15
"""Of the measured time, for each trial."""
_FINALISTS = 2


class Unavailable(Exception):
    """The peer can't be measured here; the message says why."""


class Load(NamedTuple):
    """How events are handed to a peer."""

    batch: int
    """Events in a batch; each batch waits for its acknowledgement."""
    producers: int = 1
    """Batches under way at once."""
    mode: str = ""
    """Which of its ways to take a batch, where it has several."""


class Sample(NamedTuple):
    """What one run saw."""

    events: int
    seconds: float
    acks_s: list[float]
    """For each batch, from handing it over to its acknowledgement."""


class Peer(Protocol):
    """One peer. As a context manager it starts and ends its server."""

    name: ClassVar[str]
    """Key in the results."""
    loads: ClassVar[Sequence[Load]]
    """What to try."""
    fsync_policy: ClassVar[str]
    """Checked in the running server, not only asked for."""

    def __init__(self, directory: Path) -> None:
        """With a directory for its files, on the disk that the log is measured on."""
        ...

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            Unavailable: it is not installed, or can't be made to flush before it acknowledges.
        """
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        ...

    def version(self) -> str:
        """Of the server and the client."""
        ...

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        """Append events for about that time; what can be prepared before is not timed."""
        ...


def measure(kind: type[Peer], directory: Path, event_bytes: int, seconds: float) -> dict[str, Any]:
    """Events a second of a peer at its best load, or why there is none."""
    try:
        with kind(directory) as peer:
            return _measure(peer, event_bytes, seconds)
    except Unavailable as error:
        return {"events_per_s": None, "reason": str(error)}


def _measure(peer: Peer, event_bytes: int, seconds: float) -> dict[str, Any]:
    trials: dict[Load, float] = {}
    for load in peer.loads:
        sample = peer.run(load, event_bytes, seconds * TRIAL_SHARE)
        trials[load] = sample.events / sample.seconds
        print(f"  {peer.name} {load}: {trials[load]:,.0f} events/s", file=sys.stderr)
    # A trial is short: the two best are measured, and the better one counts.
    finalists = sorted(trials, key=lambda load: trials[load])[-_FINALISTS:]
    runs = {load: peer.run(load, event_bytes, seconds) for load in finalists}
    best, sample = max(runs.items(), key=lambda run: run[1].events / run[1].seconds)
    return {
        "events_per_s": round(sample.events / sample.seconds),
        "p50_ack_ms": round(percentile(sample.acks_s, 0.5) * 1000, 2),
        "p99_ack_ms": round(percentile(sample.acks_s, 0.99) * 1000, 2),
        "best_batch": best.batch,
        "producers": best.producers,
        "mode": best.mode,
        "fsync_policy": peer.fsync_policy,
        "version": peer.version(),
        "trials": [
            {**load._asdict(), "events_per_s": round(rate)} for load, rate in trials.items()
        ],
    }


class Clock:
    """Times one run of a producer."""

    def __init__(self, seconds: float) -> None:
        self.started = time.perf_counter()
        self._end = self.started + seconds
        self.events = 0
        self.acks_s: list[float] = []

    def running(self) -> bool:
        """Whether there is time left."""
        return time.perf_counter() < self._end

    def acked(self, events: int, since: float) -> None:
        """A batch that was handed over at `since` is acknowledged."""
        self.events += events
        self.acks_s.append(time.perf_counter() - since)

    def sample(self) -> Sample:
        """What was seen until now."""
        return Sample(self.events, time.perf_counter() - self.started, self.acks_s)


def in_threads(number: int, work: Callable[[], None]) -> None:
    """Do the same work in some threads at once; what one of them raises is raised."""
    with ThreadPoolExecutor(number) as threads:
        for done in [threads.submit(work) for _ in range(number)]:
            done.result()
