"""The phases, each in a process of its own: `python -m benchmarks._scale.phases PHASE ...`.

Progress goes to standard error, the result to standard output as one JSON object.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks._scale.memory import Memory, disk_bytes, memory
from benchmarks._scale.messages import Place, chunks, place
from benchmarks.report import percentile
from infrastructure.eventlog.store import INDEX_DIRECTORY, EventLog

WINDOW_EVENTS: Final = 1_000_000
"""The first and the last so many events are compared."""
PRODUCERS: Final = 8
_REPORT_S: Final = 1.0
_INDEX_TIMEOUT_S: Final = 1_800.0


class Mark(NamedTuple):
    """How far appending had come."""

    seconds: float
    cpu_s: float
    position: int


def append(directory: Path, upto: int, event_bytes: int) -> dict[str, Any]:
    """Append events until the log has so many."""
    with EventLog.open(directory) as log:
        result = asyncio.run(_append(log, upto, event_bytes))
        started = time.perf_counter()
        log.close()
        result["close_s"] = round(time.perf_counter() - started, 3)
    return result


async def _append(log: EventLog, upto: int, event_bytes: int) -> dict[str, Any]:
    after = log.durable_position
    source = chunks(after, upto, event_bytes)
    started = time.perf_counter()
    started_cpu = time.process_time()
    marks = [Mark(0.0, 0.0, after)]
    most = memory()
    reported = started

    async def produce() -> None:
        nonlocal most, reported
        for batches in source:
            for outcome in await log.append_all(batches):
                if isinstance(outcome, Exception):
                    raise outcome
            now = time.perf_counter()
            spent = time.process_time() - started_cpu
            marks.append(Mark(now - started, spent, log.durable_position))
            if now - reported >= _REPORT_S:
                reported = now
                most = Memory(*map(max, most, memory()))
                _progress(f"{log.durable_position:,} of {upto:,} events", log, after, started)

    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    most = Memory(*map(max, most, memory()))
    print(file=sys.stderr)
    return {
        "append_per_s": round((upto - after) / seconds),
        **_window("first", marks, after, min(upto, after + WINDOW_EVENTS)),
        **_window("last", marks, max(after, upto - WINDOW_EVENTS), upto),
        "append_cpu_us_per_event": round(cpu / (upto - after) * 1e6, 2),
        "append_rss_mb": most.rss_mb,
        "append_anon_mb": most.anon_mb,
    }


def _window(name: str, marks: list[Mark], first: int, last: int) -> dict[str, Any]:
    """Events a second, and processor time an event, between two positions, by the marks next to
    them.
    """
    began = next(mark for mark in reversed(marks) if mark.position <= first)
    ended = next(mark for mark in marks if mark.position >= last)
    events = ended.position - began.position
    return {
        f"append_{name}_window_per_s": round(events / max(1e-9, ended.seconds - began.seconds)),
        # Of all threads: on a machine that others use too it says more than the rate.
        f"append_{name}_window_cpu_us": round((ended.cpu_s - began.cpu_s) / events * 1e6, 2),
    }


def _progress(text: str, log: EventLog, after: int, started: float) -> None:
    rate = (log.durable_position - after) / (time.perf_counter() - started)
    print(f"\r  {text}, {rate:,.0f}/s  ", end="", file=sys.stderr, flush=True)


def restart(directory: Path, reads: int) -> dict[str, Any]:
    """Open it with an intact index, and read at random."""
    started = time.perf_counter()
    with EventLog.open(directory) as log:
        opened = time.perf_counter() - started
        warm = memory()
        total = log.durable_position
        places = [place(random.randint(1, total)) for _ in range(reads)]
        by_version = [_timed(_read_version, log, p) for p in places]
        by_position = [_timed(_read_position, log, p) for p in reversed(places)]
        after = memory()
    return {
        "restart_s": round(opened, 3),
        "rss_mb": warm.rss_mb,
        "anon_mb": warm.anon_mb,
        "rss_after_reads_mb": after.rss_mb,
        **_latency("read_stream", by_version),
        **_latency("read_position", by_position),
        "index_bytes": disk_bytes(directory / INDEX_DIRECTORY),
        "log_bytes": disk_bytes(directory) - disk_bytes(directory / INDEX_DIRECTORY),
    }


def rebuild(directory: Path) -> dict[str, Any]:
    """Open it without its index, and wait until that is built, in the background if it is long."""
    shutil.rmtree(directory / INDEX_DIRECTORY)
    started = time.perf_counter()
    with EventLog.open(directory, progress=_indexed, index_in_background=True) as log:
        opened = time.perf_counter() - started
        while not log.wait_for_index(_REPORT_S):
            if time.perf_counter() > started + _INDEX_TIMEOUT_S:
                raise TimeoutError(f"not rebuilt: {log.index_progress}, {log.index_failure}")
            if (progress := log.index_progress) is not None:
                _indexed(*progress)
        seconds = time.perf_counter() - started
        total = log.durable_position
        for share in (0, 1, 2, 3, 4):
            _read_version(log, place(max(1, total * share // 4)))
    print(file=sys.stderr)
    return {"open_without_index_s": round(opened, 3), "index_rebuild_s": round(seconds, 3)}


def _indexed(done: int, total: int) -> None:
    print(f"\r  indexed {done:,} of {total:,} events  ", end="", file=sys.stderr, flush=True)


def _timed(read: Callable[[EventLog, Place], None], log: EventLog, wanted: Place) -> float:
    started = time.perf_counter()
    read(log, wanted)
    return time.perf_counter() - started


def _read_version(log: EventLog, wanted: Place) -> None:
    (event,) = log.read_stream(wanted.stream, wanted.version - 1, 1)
    _check(event.position, wanted)


def _read_position(log: EventLog, wanted: Place) -> None:
    (event,) = log.read(wanted.position - 1, 1)
    if event.stream != wanted.stream:
        raise RuntimeError(f"{event.stream} at {wanted}")
    _check(event.position, wanted)


def _check(position: int, wanted: Place) -> None:
    if position != wanted.position:
        raise RuntimeError(f"position {position} is not {wanted}")


def _latency(name: str, seconds: list[float]) -> dict[str, int]:
    return {
        f"{name}_p50_us": round(percentile(seconds, 0.5) * 1e6),
        f"{name}_p99_us": round(percentile(seconds, 0.99) * 1e6),
    }


def main() -> None:
    """Run one phase."""
    sys.setswitchinterval(0.001)  # as the core process does
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("phase", choices=("append", "restart", "rebuild"))
    options.add_argument("directory", type=Path)
    options.add_argument("--upto", type=int, default=0)
    options.add_argument("--event-bytes", type=int, default=256)
    options.add_argument("--reads", type=int, default=2_000)
    given = options.parse_args()
    if given.phase == "append":
        result = append(given.directory, given.upto, given.event_bytes)
    elif given.phase == "restart":
        result = restart(given.directory, given.reads)
    else:
        result = rebuild(given.directory)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
