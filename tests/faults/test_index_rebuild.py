"""An index that is gone from a real log: killed in the middle it goes on, and a whole system says
why it takes no commands meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.codec import encode
from application.ports.event_store import NO_STREAM, StreamAppend
from domain.idempotency.events import RequestCompleted
from infrastructure.eventlog.rebuilding import AT_ONCE_EVENTS
from infrastructure.eventlog.store import EventLog
from tests.application.projections.fakes import METADATA
from tests.faults.small_disk import fill, small_disk
from tests.serving import Kefu, running, stop_postgres, wait_until

pytestmark = pytest.mark.faults

BATCH = 10_000
"""Events; the logs below have a whole number of batches."""
PER_STREAM = 10
SEGMENT_BYTES = 4 * 1024 * 1024
"""So that much of the log is in sealed segments, which only a rebuild reads at the start."""
EVENT = encode(RequestCompleted("0" * 64, {}), METADATA)
"""No view takes it, so that the projector is soon through."""

REBUILDER = """
import sys
from pathlib import Path
from infrastructure.eventlog.store import EventLog

with EventLog.open(Path(sys.argv[1]), index_in_background=True) as log:
    print(log.index_progress.done if log.index_progress else "whole", flush=True)
    log.wait_for_index()
    print("whole", flush=True)
    sys.stdin.read()
"""


def append(directory: Path, events: int) -> None:
    """Streams `idempotency-<n>` of ten events each."""
    with EventLog.open(directory, max_segment_bytes=SEGMENT_BYTES) as log:
        for first in range(0, events // PER_STREAM, BATCH // PER_STREAM):
            numbers = range(first, first + BATCH // PER_STREAM)
            streams = [f"idempotency-{number}" for number in numbers]
            log.append_sync(
                [[StreamAppend(stream, NO_STREAM, [EVENT] * PER_STREAM) for stream in streams]]
            )


def tables(directory: Path) -> dict[str, int]:
    """Name and inode of each."""
    return {path.name: path.stat().st_ino for path in (directory / "index").glob("*.idx")}


def rebuilt_until(directory: Path, known: int) -> tuple[str, dict[str, int]]:
    """Kill a process that rebuilds when it has written more tables than these: where it began."""
    with subprocess.Popen(
        [sys.executable, "-c", REBUILDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        began = process.stdout.readline().decode().strip()
        wait_until(lambda: len(tables(directory)) > known, 60, "a table is written")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    return began, tables(directory)


def test_a_rebuild_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    events = 2 * AT_ONCE_EVENTS + BATCH
    append(directory, events)
    shutil.rmtree(directory / "index")
    (directory / "index").mkdir()
    began, first = rebuilt_until(directory, 0)
    assert 0 <= int(began) < events
    began, second = rebuilt_until(directory, len(first))
    assert int(began) >= max(int(name.split("-")[1].removesuffix(".idx")) for name in first)
    assert first.items() <= second.items(), "nothing is made again"
    with EventLog.open(directory, index_in_background=True) as log:
        assert log.wait_for_index(60)
        assert second.items() <= tables(directory).items()
        for position in (1, 2, events // 3, events // 2, events):
            number, version = divmod(position - 1, PER_STREAM)
            (event,) = log.read_stream(f"idempotency-{number}", version - 1, 1)
            assert event.position == position
        assert log.absent(["idempotency-0", "nobody"]) == {"nobody"}


@pytest.fixture
def unindexed(tmp_path: Path) -> Iterator[tuple[Kefu, str]]:
    """The data of a system that has run, much in its log and no index; a session's token."""
    with running(tmp_path / "data") as kefu:
        token = kefu.login()
    log = kefu.data_dir / "log"
    append(log, AT_ONCE_EVENTS + BATCH)
    shutil.rmtree(log / "index")
    yield kefu, token
    kefu.stop()
    stop_postgres(kefu.data_dir)


def test_a_system_says_why_it_takes_no_commands_and_goes_on_when_the_index_is_whole(
    tmp_path: Path, unindexed: tuple[Kefu, str]
) -> None:
    """The index is on a disk that is full, so that the rebuild takes as long as the test."""
    kefu, token = unindexed
    with small_disk(tmp_path, "tmpfs") as disk:
        (disk / "index").mkdir()
        (kefu.data_dir / "log/index").symlink_to(disk / "index")
        fill(disk / "ballast")
        kefu.start(wait=False)
        said = "the index of streams can't be rebuilt (0 % of 310,0"
        wait_until(lambda: said in kefu.output(), 60, "whoever started it is told")
        status, body = kefu.get("/readyz")
        assert (status, body["core"], body["index"]["percent"]) == (503, "index-rebuilding", 0)
        assert "No space left" in body["index"]["failure"]
        wait_until(lambda: kefu.get("/readyz")[1]["views"] == "ok", 60, "reads work")
        login = {"email": "admin@localhost", "password": "x"}
        status, problem, headers = kefu.request("POST", "/api/v1/auth/login", login)
        assert (status, problem["code"]) == (503, "index-rebuilding")
        assert headers["retry-after"] == "5"
        assert kefu.get("/api/v1/conversations", token)[1]["code"] == "index-rebuilding"
        assert "kefu_index_failing 1.0" in kefu.get("/metrics")[1]
        (disk / "ballast").unlink()
        kefu.wait_ready()
        assert kefu.get("/readyz")[1]["index"] is None
        assert kefu.get("/api/v1/conversations", token)[0] == 200
        wait_until(lambda: "log.index_rebuilt" in kefu.output(), 10, "the log says so")
        assert "log.index_rebuilding" in kefu.output()
        assert "log.index_failing" in kefu.output()
        kefu.stop()


def test_a_damaged_log_is_found_while_its_index_is_rebuilt_and_ends_the_system(
    unindexed: tuple[Kefu, str],
) -> None:
    kefu, _ = unindexed
    segment = sorted((kefu.data_dir / "log").glob("*.seg"))[0]
    segment.chmod(0o600)
    with segment.open("r+b") as file:
        # Behind the first events, which are read at a start in any case.
        os.pwrite(file.fileno(), b"\xff", segment.stat().st_size // 2)
    kefu.start(wait=False)
    assert kefu.process is not None
    assert kefu.process.wait(60) == 2
    assert "log.index_failed" in kefu.output()
    assert f"{segment.name} at byte" in kefu.output()
