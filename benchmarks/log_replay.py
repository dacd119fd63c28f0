"""Events a second out of the log's files: frames checked only, and decoded.

The log is filled first, not timed, with streams as kefu makes them, until it has several sealed
segments; one pass brings them into the page cache. Raw: every frame of the sealed segments is
walked over and its checksum and position checked. Decoded: another process's reader (`LogReader`)
hands out all events of the log in pages.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks._scale.messages import chunks
from benchmarks.report import hardware, parser, show
from infrastructure.eventlog import format
from infrastructure.eventlog.frames import walk
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.segment import list_segments, read_footer, read_header
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.writer import MAX_SEGMENT_BYTES

EVENTS = 2_000_000
EVENT_BYTES = 256
PAGE_EVENTS = 1_000
PASSES = 3
PRODUCERS = 4


class Scan(NamedTuple):
    """What one pass over the sealed segments saw."""

    segments: int
    frames: int
    events: int
    bytes: int
    seconds: float


async def _fill(directory: Path, events: int, event_bytes: int, segment_bytes: int) -> None:
    with EventLog.open(directory, max_segment_bytes=segment_bytes) as log:
        source = chunks(0, events, event_bytes)

        async def produce() -> None:
            for batches in source:
                await log.append_all(batches)
                done = f"\r  {log.durable_position:,} of {events:,} events written  "
                print(done, end="", file=sys.stderr, flush=True)

        await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    print(file=sys.stderr)


def _scan(directory: Path) -> Scan:
    """Check every frame of the sealed segments."""
    sealed = [segment for segment in list_segments(directory) if segment.sealed]
    frames = events = size = 0
    started = time.perf_counter()
    for segment in sealed:
        seed = format.frame_seed(read_header(segment.path).uuid)
        end = read_footer(segment.path).content_end
        with segment.path.open("rb") as file:
            for frame in walk(
                file.fileno(), seed, format.SEGMENT_HEADER_BYTES, end, segment.base_position
            ):
                frames += 1
                events += frame.header.events
        size += end
    return Scan(len(sealed), frames, events, size, time.perf_counter() - started)


def _decode(directory: Path) -> tuple[int, float]:
    """Events handed out, and the seconds that it took."""
    reader = LogReader(directory)
    after = 0
    started = time.perf_counter()
    while events := reader.read(after, PAGE_EVENTS):
        after = events[-1].position
    seconds = time.perf_counter() - started
    reader.close()
    return after, seconds


def _measure(directory: Path, passes: int) -> dict[str, object]:
    scan = _scan(directory)
    if not scan.events:
        raise SystemExit("no segment is sealed: more --events or fewer --segment-bytes")
    cpu = [time.process_time()]
    raw = [_scan(directory).seconds for _ in range(passes)]
    cpu.append(time.process_time())
    decoded = [_decode(directory) for _ in range(passes)]
    cpu.append(time.process_time())
    total = decoded[0][0]
    return {
        "raw_events_per_s": round(scan.events * passes / sum(raw)),
        "decoded_events_per_s": round(total * passes / sum(seconds for _, seconds in decoded)),
        # On a machine that others use too this says more than the rates.
        "raw_cpu_us_per_event": round((cpu[1] - cpu[0]) / (scan.events * passes) * 1e6, 2),
        "decoded_cpu_us_per_event": round((cpu[2] - cpu[1]) / (total * passes) * 1e6, 2),
        "raw_mb_per_s": round(scan.bytes * passes / sum(raw) / 1e6),
        "events": total,
        "sealed_segments": scan.segments,
        "events_per_frame": round(scan.events / scan.frames),
        "page_events": PAGE_EVENTS,
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 0.0)
    options.add_argument("--events", type=int, default=EVENTS, help="even; in the whole log")
    options.add_argument("--event-bytes", type=int, default=EVENT_BYTES)
    options.add_argument("--segment-bytes", type=int, default=MAX_SEGMENT_BYTES)
    options.add_argument("--passes", type=int, default=PASSES, help="timed, of each kind")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        directory = Path(folder) / "log"
        asyncio.run(_fill(directory, given.events, given.event_bytes, given.segment_bytes))
        result = _measure(directory, given.passes)
    result |= {
        "event_bytes": given.event_bytes,
        "fsync_policy": "reading only, from the page cache; every frame's crc32c is checked",
        "hardware": hardware(),
    }
    show("log replay", result, as_json=given.json)


if __name__ == "__main__":
    main()
