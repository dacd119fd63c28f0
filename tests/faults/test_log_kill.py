"""kill -9 at any moment: what was acknowledged is there, and nothing is there by half."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import operations
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog

pytestmark = pytest.mark.faults

KILLS = 300 if os.environ.get("KEFU_SOAK") == "1" else 30
LONGEST_S = 0.35


def run_and_kill(directory: Path, first: int, after_s: float, *, from_ready: bool) -> list[int]:
    """What a writer acknowledged before it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.log_writer", str(directory), str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    if from_ready:
        ready = process.stdout.readline()
        assert ready == b"ready\n", process.stderr.read().decode()
    time.sleep(after_s)  # the moment of the kill is meant to be any
    process.send_signal(signal.SIGKILL)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, errors.decode()
    lines = output.split(b"\n")[:-1]  # the last line may have been cut by the kill
    return [int(line) for line in lines if line != b"ready"]


def check(events: list[RecordedEvent], acknowledged: set[int]) -> None:
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    versions: dict[str, int] = defaultdict(lambda: -1)
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in events:
        versions[event.stream] += 1
        assert event.version == versions[event.stream]
        number = int(event.payload)
        assert event.metadata == b"x" * (number % 200)
        numbers["all" if event.stream == "all" else "streams"].append(number)
    assert numbers["all"] == numbers["streams"], "a batch is there by half"
    assert len(set(numbers["all"])) == len(numbers["all"]), "a batch is there twice"
    assert acknowledged <= set(numbers["all"]), "an acknowledged batch is lost"


def test_after_any_kill_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    chance = random.Random(20_261_124)
    acknowledged: set[int] = set()
    reader = LogReader(directory)
    followed: list[RecordedEvent] = []
    for kill in range(KILLS):
        from_ready = kill % 5 != 4  # the others hit the start and its recovery
        # Numbers of unacknowledged batches may be on disk too; each run has its own range.
        acknowledged.update(
            run_and_kill(
                directory, kill * 1_000_000, chance.uniform(0, LONGEST_S), from_ready=from_ready
            )
        )
        while events := reader.read(len(followed), 1_000):
            followed += events
        check(followed, acknowledged)
    reader.close()
    assert len(acknowledged) > KILLS
    with EventLog.open(directory) as log:
        events = log.read(0, 10_000_000)
        check(events, acknowledged)
        assert events[: len(followed)] == followed, "a reader saw what is not in the log"
        for name in ("all", *(f"s{n}" for n in range(7))):
            expected = [event for event in events if event.stream == name]
            assert log.read_stream(name) == expected
    report = operations.verify(directory)
    assert report.ok, report.findings
    assert report.segments > 3
