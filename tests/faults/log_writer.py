"""A process that appends without end and says on standard output what was acknowledged.

Run as `python -m tests.faults.log_writer DIRECTORY FIRST`. Batch n puts one event into the stream
`all` and one into `s<n mod 7>`, both with n as payload. Lines: `ready`, then n for each batch.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog.store import EventLog

SEGMENT_BYTES = 16_384
"""Small, so that kills hit rolling and sealing too."""
TASKS = 8


async def main(directory: Path, first: int) -> None:
    numbers = itertools.count(first)
    with EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log:
        os.write(1, b"ready\n")

        async def produce() -> None:
            while True:
                number = next(numbers)
                events = [NewEvent("kill.event.v1", b"%d" % number, b"x" * (number % 200))]
                streams = ("all", f"s{number % 7}")
                await log.append([StreamAppend(name, ANY_VERSION, events) for name in streams])
                os.write(1, b"%d\n" % number)

        await asyncio.gather(*(produce() for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
