"""Events a second into the log, each on disk before it is acknowledged.

Producers append small batches of 256-byte events through the public append path; many are under
way at once, as commands are, so that they share group commits.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.eventlog.store import EventLog

EVENT_BYTES = 256
STREAMS = 1_000
EVENTS_PER_BATCH = 8
BATCHES_PER_CALL = 64
PRODUCERS = 24


async def _produce(log: EventLog, end: float, number: int, acks: list[float]) -> int:
    events = [NewEvent("bench.event.v1", b"x" * EVENT_BYTES, b"")] * EVENTS_PER_BATCH
    batches = [
        [StreamAppend(f"bench-{(number * 7919 + i) % STREAMS}", ANY_VERSION, events)]
        for i in range(BATCHES_PER_CALL)
    ]
    written = 0
    while True:
        started = time.perf_counter()
        if started >= end:
            return written
        await log.append_all(batches)
        acks.append(time.perf_counter() - started)
        written += EVENTS_PER_BATCH * BATCHES_PER_CALL


async def _measure(directory: Path, seconds: float) -> dict[str, object]:
    with EventLog.open(directory) as log:
        acks: list[float] = []
        await _produce(log, time.perf_counter() + 0.5, 0, [])
        before = log.stats.fsync_seconds, log.stats.groups
        started = time.perf_counter()
        end = started + seconds
        counts = await asyncio.gather(*(_produce(log, end, n, acks) for n in range(PRODUCERS)))
        elapsed = time.perf_counter() - started
        fsync = (log.stats.fsync_seconds - before[0]) / max(1, log.stats.groups - before[1])
        groups = log.stats.groups - before[1]
    return {
        "events_per_s": round(sum(counts) / elapsed),
        "event_bytes": EVENT_BYTES,
        "fsync_policy": "fdatasync before every acknowledgement",
        "p50_ack_ms": round(percentile(acks, 0.5) * 1000, 2),
        "p99_ack_ms": round(percentile(acks, 0.99) * 1000, 2),
        "events_per_group": round(sum(counts) / max(1, groups)),
        "write_and_fsync_ms": round(fsync * 1000, 3),
        "hardware": hardware(),
    }


def main() -> None:
    """Measure and print."""
    sys.setswitchinterval(0.001)  # as the core process does
    options = parser(__doc__ or "", 5.0).parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        result = asyncio.run(_measure(Path(folder), options.seconds))
    show("log append", result, as_json=options.json)


if __name__ == "__main__":
    main()
