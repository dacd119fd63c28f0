"""What the scrubber costs the writer: append rate without it, with it as a thread of the writer's
process, and with it as a process of its own that gives way. The three take turns.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.eventlog.scrubber import Scrubber, ScrubberThread, read_state
from infrastructure.eventlog.store import EventLog

EVENT_BYTES = 256
EVENTS_PER_APPEND = 256
SINGLE_EVENTS = 4_000
"""Frames of one event each, at the beginning of the log: the most costly ones, byte for byte."""
SEGMENT_BYTES = 8 * 1024 * 1024
MODES = ("off", "thread", "process")
_PROCESS = """
import sys, threading
from pathlib import Path
from interfaces.workers.priority import give_way
from infrastructure.eventlog.scrubber import Scrubber
give_way(19)
Scrubber(Path(sys.argv[1]), float(sys.argv[2]), pause_s=0.0).run(threading.Event())
"""


@contextmanager
def _scrubbing(mode: str, directory: Path, mb_per_s: float) -> Iterator[None]:
    if mode == "thread":
        thread = ScrubberThread(Scrubber(directory, mb_per_s, pause_s=0.0))
        yield
        thread.close()
    elif mode == "process":
        command = [sys.executable, "-c", _PROCESS, str(directory), str(mb_per_s)]
        with subprocess.Popen(command, start_new_session=True) as process:
            time.sleep(0.5)  # its imports are not what is measured
            yield
            process.kill()
    else:
        yield


def _append(log: EventLog, seconds: float, acks: list[float]) -> float:
    events = [NewEvent("bench.event.v1", b"x" * EVENT_BYTES, b"")]
    batches = [
        [StreamAppend(f"bench-{number}", ANY_VERSION, events)]
        for number in range(EVENTS_PER_APPEND)
    ]
    written, start = 0, time.perf_counter()
    while (began := time.perf_counter()) < start + seconds:
        log.append_sync(batches)
        acks.append(time.perf_counter() - began)
        written += EVENTS_PER_APPEND
    return written / (time.perf_counter() - start)


def measure(directory: Path, seconds: float, mb_per_s: float, rounds: int) -> dict[str, object]:
    """Median rates and acknowledgement times, and what the thread read meanwhile."""
    rates: dict[str, list[float]] = {mode: [] for mode in MODES}
    acks: dict[str, list[float]] = {mode: [] for mode in MODES}
    with EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log:
        single = [[StreamAppend("single", ANY_VERSION, [NewEvent("t", b"x" * EVENT_BYTES, b"")])]]
        for _ in range(SINGLE_EVENTS):
            log.append_sync(single)
        _append(log, 2.0, [])
        for _ in range(rounds):
            for mode in MODES:
                with _scrubbing(mode, directory, mb_per_s):
                    rates[mode].append(_append(log, seconds / rounds / len(MODES), acks[mode]))
    state = read_state(directory)
    assert state is not None
    assert not state.findings, state.findings
    return {
        "scrub_mb_per_s": mb_per_s,
        **{f"events_per_s_{mode}": round(percentile(rates[mode], 0.5)) for mode in MODES},
        **{f"p50_ack_ms_{mode}": round(percentile(acks[mode], 0.5) * 1e3, 2) for mode in MODES},
        **{f"p99_ack_ms_{mode}": round(percentile(acks[mode], 0.99) * 1e3, 2) for mode in MODES},
        "scrubbed_mb": round(state.bytes / 1e6, 1),
        "fsync_policy": "fdatasync before every acknowledgement",
        "hardware": hardware(),
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", seconds=36.0)
    options.add_argument("--mb-per-s", type=float, default=4.0, help="speed of the scrubber")
    options.add_argument("--rounds", type=int, default=8, help="turns of each of the three")
    given = options.parse_args()
    sys.setswitchinterval(0.001)  # as in the core
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as directory:
        result = measure(Path(directory) / "log", given.seconds, given.mb_per_s, given.rounds)
    show("the scrubber beside the writer", result, as_json=given.json)


if __name__ == "__main__":
    main()
