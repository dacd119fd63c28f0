"""Events a second into the log, each on disk before it is acknowledged; beside it, its peers.

Producers append small batches of 256-byte events through the public append path; many are under
way at once, as commands are, so that they share group commits. Then each peer appends events of
the same size, one peer after the other, at the batch size that suits it best (`_peers`).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.eventlog.store import EventLog

EVENT_BYTES = 256
STREAMS = 1_000
EVENTS_PER_BATCH = 8
BATCHES_PER_CALL = 64
PRODUCERS = 24
WARM_UP_S = 0.5


class Load(NamedTuple):
    """How events are handed to the log."""

    batch: int
    """Events of one stream in a batch, which is all or nothing."""
    batches: int
    """In a call, which is acknowledged as a whole."""
    producers: int
    """Calls under way at once."""


async def _produce(log: EventLog, load: Load, end: float, number: int, acks: list[float]) -> int:
    events = [NewEvent("bench.event.v1", b"x" * EVENT_BYTES, b"")] * load.batch
    batches = [
        [StreamAppend(f"bench-{(number * 7919 + i) % STREAMS}", ANY_VERSION, events)]
        for i in range(load.batches)
    ]
    written = 0
    while True:
        started = time.perf_counter()
        if started >= end:
            return written
        await log.append_all(batches)
        acks.append(time.perf_counter() - started)
        written += load.batch * load.batches


async def _measure(directory: Path, load: Load, seconds: float) -> dict[str, Any]:
    with EventLog.open(directory) as log:
        acks: list[float] = []
        await _produce(log, load, time.perf_counter() + min(WARM_UP_S, seconds), 0, [])
        before = log.stats.fsync_seconds, log.stats.groups
        started, started_cpu = time.perf_counter(), time.process_time()
        end = started + seconds
        counts = await asyncio.gather(
            *(_produce(log, load, end, n, acks) for n in range(load.producers))
        )
        elapsed, cpu = time.perf_counter() - started, time.process_time() - started_cpu
        groups = log.stats.groups - before[1]
        fsync = (log.stats.fsync_seconds - before[0]) / max(1, groups)
    return {
        "events_per_s": round(sum(counts) / elapsed),
        "event_bytes": EVENT_BYTES,
        "fsync_policy": "fdatasync before every acknowledgement",
        "p50_ack_ms": round(percentile(acks, 0.5) * 1000, 2),
        "p99_ack_ms": round(percentile(acks, 0.99) * 1000, 2),
        **load._asdict(),
        "events_per_group": round(sum(counts) / max(1, groups)),
        "write_and_fsync_ms": round(fsync * 1000, 3),
        # Of all threads, producers too: on a machine that others use it says more than the rate.
        "cpu_us_per_event": round(cpu / max(1, sum(counts)) * 1e6, 2),
    }


def _beside_peers(ours: int, seconds: float) -> dict[str, Any]:
    """All peers in turn, each in a directory of its own on the disk that we were measured on."""
    # Here, not above: who measures without peers need not have their clients.
    from benchmarks._peers import PEERS, measure

    details: dict[str, dict[str, Any]] = {}
    for kind in PEERS:
        with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
            details[kind.name] = measure(kind, Path(folder), EVENT_BYTES, seconds)
    rates = {name: found["events_per_s"] for name, found in details.items()}
    best = max((rate for rate in rates.values() if rate), default=None)
    return {
        "peers": rates,
        "peer_details": details,
        "ratio_to_best_peer": round(ours / best, 1) if best else None,
    }


def _options() -> argparse.Namespace:
    options = parser(__doc__ or "", 5.0)
    options.add_argument("--batch", type=int, default=EVENTS_PER_BATCH, help="events a batch")
    options.add_argument("--batches", type=int, default=BATCHES_PER_CALL, help="batches a call")
    options.add_argument("--producers", type=int, default=PRODUCERS, help="calls under way at once")
    options.add_argument("--no-peers", action="store_true", help="measure our log only")
    return options.parse_args()


def main() -> None:
    """Measure and print."""
    sys.setswitchinterval(0.001)  # as the core process does
    options = _options()
    load = Load(options.batch, options.batches, options.producers)
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        result = asyncio.run(_measure(Path(folder), load, options.seconds))
    if not options.no_peers:
        result |= _beside_peers(result["events_per_s"], options.seconds)
    show("log append", result | {"hardware": hardware()}, as_json=options.json)


if __name__ == "__main__":
    main()
