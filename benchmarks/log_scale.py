"""What does the log's size change? Append rate, random reads, restart, memory and index size.

One log grows from size to size, with streams as kefu makes them: half of all events begin a new
stream with a name that looks random, the others go to 100,000 conversations. At each size it is
opened again, in a new process, with its index and (unless `--no-rebuild`) without it. 50 million
events of 256 bytes need about 20 GB of disk.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import hardware, parser, show

EVENTS = "1000000,10000000,50000000"
EVENT_BYTES = 256
READS = 2_000


def _phase(name: str, directory: Path, **options: int) -> dict[str, Any]:
    """One phase in a process of its own."""
    command = [sys.executable, "-m", "benchmarks._scale.phases", name, str(directory)]
    for key, value in options.items():
        command += [f"--{key.replace('_', '-')}", str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _sizes(text: str) -> list[int]:
    sizes = sorted({int(part) for part in text.split(",")})
    if sizes[0] < 2 or any(size % 2 for size in sizes):
        raise ValueError("a size is an even number: events come in pairs")
    return sizes


def _row(directory: Path, size: int, *, event_bytes: int, reads: int, again: bool) -> Any:
    print(f"{size:,} events", file=sys.stderr)
    row = {"events": size, **_phase("append", directory, upto=size, event_bytes=event_bytes)}
    row |= _phase("restart", directory, reads=reads)
    if again:
        row |= _phase("rebuild", directory)
    print(f"  {row}", file=sys.stderr)
    return row


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 0.0)
    options.add_argument("--events", type=_sizes, default=_sizes(EVENTS), help="sizes, by commas")
    options.add_argument("--event-bytes", type=int, default=EVENT_BYTES)
    options.add_argument("--reads", type=int, default=READS, help="random reads of each kind")
    options.add_argument("--no-rebuild", action="store_true", help="keep the index at each size")
    options.add_argument("--directory", type=Path, help="where the log is made and removed")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-bench-", dir=given.directory) as folder:
        rows = [
            _row(
                Path(folder) / "log",
                size,
                event_bytes=given.event_bytes,
                reads=given.reads,
                again=not given.no_rebuild,
            )
            for size in given.events
        ]
    first, last = rows[0], rows[-1]
    rates = last["append_last_window_per_s"], first["append_first_window_per_s"]
    costs = last["append_last_window_cpu_us"], first["append_first_window_cpu_us"]
    result = {
        "rows": rows,
        "append_at_largest_vs_empty": round(rates[0] / rates[1], 3),
        "append_cpu_at_largest_vs_empty": round(costs[0] / costs[1], 3),
        "restart_s": last["restart_s"],
        "rss_mb": last["rss_mb"],
        "event_bytes": given.event_bytes,
        "fsync_policy": "fdatasync before every acknowledgement",
        "hardware": hardware(),
    }
    show("log scale", result, as_json=given.json)


if __name__ == "__main__":
    main()
