"""Processes that append without end and say on standard output what was acknowledged.

Run as `python -m tests.faults.log_writer`: a nursery, which has everything imported and forks a
writer for each line `DIRECTORY FIRST CALL COUNT` on standard input, so that hundreds of writers
can be started and killed in a test. It answers `pid N`, then the writer says `ready` when the log
is open and n for each acknowledged batch, then the nursery says `dead STATUS`.

Batch n puts one event into the stream `all` and one into `s<n mod 7>`, both with n as payload. When
CALL is not `-`, the writer kills itself with SIGKILL at the COUNT-th call of that name: in the
middle of it when it writes, else before or after it by turns.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog import indexing
from infrastructure.eventlog.index import Index
from infrastructure.eventlog.store import EventLog

SEGMENT_BYTES = 8_192
"""Small, so that kills hit rolling and sealing too."""
FLUSH_EVENTS = 40
"""Small, so that kills hit flushes of the index."""
THREADS = 3
CALLS = (
    "pwrite",
    "pwritev",
    "fdatasync",
    "fsync",
    "ftruncate",
    "fchmod",
    "rename",
    "posix_fallocate",
    "Index.add",
)
"""By which a log changes what is on disk."""


def write(directory: Path, first: int) -> None:
    """Append from several threads until something kills the process."""
    with (
        mock.patch.object(indexing, "FLUSH_EVENTS", FLUSH_EVENTS),
        EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log,
    ):
        os.write(1, b"ready\n")

        def produce(number: int) -> None:
            while True:
                events = [NewEvent("kill.event.v1", b"%d" % number, b"x" * (number % 200))]
                streams = ("all", f"s{number % 7}")
                log.append_sync([[StreamAppend(s, ANY_VERSION, events) for s in streams]])
                os.write(1, b"%d\n" % number)
                number += THREADS

        threads = [threading.Thread(target=produce, args=(first + n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def die_at(call: str, count: int) -> None:
    """Stand in front of a function: the process is killed at its COUNT-th call."""
    owner: Any = Index if call.startswith("Index.") else os
    name = call.removeprefix("Index.")
    real: Callable[..., Any] = getattr(owner, name)
    left = [None] * (count - 1)

    def deadly(*arguments: Any, **rest: Any) -> Any:
        if left:
            left.pop()
            return real(*arguments, **rest)
        if name == "pwritev":
            fd, parts, offset = arguments
            data = b"".join(parts)
            real(fd, [data[: len(data) // 2]], offset)
        elif name == "add":
            # Some way into the flush: the more, the later.
            threading.Timer(count % 8 / 4_000, die).start()
            return real(*arguments, **rest)
        elif count % 2:
            real(*arguments, **rest)
        return die()

    setattr(owner, name, deadly)


def serve() -> None:
    for line in sys.stdin:
        directory, first, call, count = line.split()
        child = os.fork()
        if child == 0:
            try:
                if call != "-":
                    die_at(call, int(count))
                write(Path(directory), int(first))
            except BaseException:  # noqa: BLE001 - the fork must not go on as a second nursery
                traceback.print_exc()
            finally:
                os._exit(1)
        os.write(1, b"pid %d\n" % child)
        _, status = os.waitpid(child, 0)
        os.write(1, b"dead %d\n" % status)


if __name__ == "__main__":
    serve()
