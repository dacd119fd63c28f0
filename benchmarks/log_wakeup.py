"""How soon a waiting reader in another process has an event, and what waiting costs.

A writer appends single events with pauses, so that every reader waits for each; the readers are
processes of their own. The time runs from the moment at which the writer publishes the durable
position (the event is on disk) to the moment at which the reader holds the event, read and
checked. Afterwards the log is left alone, and the readers' CPU time is counted while they wait.

With many readers on few cores most of the time is the readers' queue for a core: the figure of one
reader is measured as well.
"""

import multiprocessing
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.watermark import Watermark, WatermarkWriter

_PAUSE_S: Final = 0.05
_TOO_LONG_S: Final = 60.0
_EVENT: Final = NewEvent("bench.event.v1", b"x" * 256, b"")

Seen = list[tuple[int, int]]
"""(durable position, monotonic time in ns) in order."""


def _read(directory: Path, last: int, idle_s: float, ready: Barrier, result: Connection) -> None:
    feed = LogReader(directory)
    feed.wait(0, 0.0)
    ready.wait()
    seen: Seen = []
    after = 0
    while after < last:
        position = feed.wait(after, _TOO_LONG_S)
        if position == after:
            break
        events = feed.read(after, position - after)
        after = events[-1].position
        seen.append((after, time.monotonic_ns()))
    ready.wait()
    before = time.process_time()
    feed.wait(after, idle_s)
    result.send((seen, time.process_time() - before))
    feed.close()


def _observed(published: Seen) -> Callable[[WatermarkWriter, Watermark], None]:
    """`WatermarkWriter.publish`, noting when it begins."""
    publish = WatermarkWriter.publish

    def noted(self: WatermarkWriter, watermark: Watermark) -> None:
        published.append((watermark.position, time.monotonic_ns()))
        publish(self, watermark)

    return noted


def _measure(readers: int, seconds: float, idle_s: float) -> tuple[list[float], list[float]]:
    """Latencies in s over all readers and events; CPU seconds of each reader while it was idle."""
    appends = max(1, round(seconds / _PAUSE_S))
    published: Seen = []
    # Forked, before this process has threads: 64 interpreters started anew would be the test.
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(readers + 1)
    results: list[Connection] = []
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        directory = Path(folder)
        processes = []
        for _ in range(readers):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_read, args=(directory, appends, idle_s, ready, theirs)
            )
            process.start()
            results.append(ours)
            processes.append(process)
        # Replaced for the run, which mypy does not know: the moment of publishing counts.
        original = WatermarkWriter.publish
        WatermarkWriter.publish = _observed(published)  # type: ignore[method-assign, assignment]
        try:
            with EventLog.open(directory) as log:
                ready.wait()
                for _ in range(appends):
                    time.sleep(_PAUSE_S)
                    log.append_sync([[StreamAppend("bench-1", ANY_VERSION, [_EVENT])]])
                ready.wait()
                answers = [result.recv() for result in results]
        finally:
            WatermarkWriter.publish = original  # type: ignore[method-assign]
        for process in processes:
            process.join()
    begun = dict(reversed(published))  # the first time that each position was told
    latencies = []
    for seen, _ in answers:
        positions = [position for position, _ in seen]
        for position in range(1, appends + 1):
            _, at = seen[bisect_left(positions, position)]
            latencies.append((at - begun[position]) / 1e9)
    return latencies, [cpu for _, cpu in answers]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "", 10.0)
    arguments.add_argument("--readers", type=int, default=64, help="waiting processes")
    arguments.add_argument("--idle-seconds", type=float, default=20.0, help="time to wait idle")
    options = arguments.parse_args()
    one, _ = _measure(1, options.seconds / 2, 0.0)
    many, idle = _measure(options.readers, options.seconds, options.idle_seconds)
    per_hour = 3600 / options.idle_seconds
    result: dict[str, Any] = {
        "readers": options.readers,
        "p50_ms": round(percentile(many, 0.5) * 1000, 2),
        "p99_ms": round(percentile(many, 0.99) * 1000, 2),
        "one_reader_p50_ms": round(percentile(one, 0.5) * 1000, 3),
        "one_reader_p99_ms": round(percentile(one, 0.99) * 1000, 3),
        "idle_reader_cpu_s_per_hour": round(sum(idle) / len(idle) * per_hour, 3),
        "wake_ups": len(many),
        "hardware": hardware(),
    }
    show("log wake-up", result, as_json=options.json)


if __name__ == "__main__":
    main()
