"""kill -9 at any moment: what was acknowledged is there, and nothing is there by half."""

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import operations
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from tests.faults.log_writer import CALLS

pytestmark = pytest.mark.faults

KILLS = 1_000 if os.environ.get("KEFU_SOAK") == "1" else 200
KILLS_A_LOG = 50
LONGEST_S = 0.03
PATIENCE_S = 60
NUMBERS = 1_000_000
"""Each run has a range of its own: batches that were not acknowledged may be on disk too."""


class Nursery:
    """Writers that cost a fork each."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.log_writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._lines = b""

    def run_and_kill(
        self, directory: Path, first: int, wait_for: bytes, after_s: float
    ) -> list[int]:
        """Kill a writer some time after it said `pid` or `ready`: what it had acknowledged."""
        lines = self._start(directory, first, "-", 0, wait_for)
        deadline = time.monotonic() + after_s  # the moment of the kill is meant to be any
        while (left := deadline - time.monotonic()) > 0:
            self._read(lines, left)
        pid = next(int(line[4:]) for line in lines if line.startswith(b"pid "))
        os.kill(pid, signal.SIGKILL)
        return self._finish(lines)

    def run_until(self, directory: Path, first: int, call: str, count: int) -> list[int]:
        """A writer that kills itself at a call: what it had acknowledged."""
        return self._finish(self._start(directory, first, call, count, b"pid"))

    def close(self) -> None:
        self._input.close()
        self._process.wait(PATIENCE_S)
        self._output.close()

    def _start(
        self, directory: Path, first: int, call: str, count: int, wait_for: bytes
    ) -> list[bytes]:
        self._input.write(f"{directory} {first} {call} {count}\n".encode())
        self._input.flush()
        lines: list[bytes] = []
        while not any(line.startswith((wait_for, b"dead")) for line in lines):
            self._read(lines, PATIENCE_S)
        return lines

    def _finish(self, lines: list[bytes]) -> list[int]:
        deadline = time.monotonic() + PATIENCE_S
        while not lines or not lines[-1].startswith(b"dead "):
            self._read(lines, PATIENCE_S)
            assert time.monotonic() < deadline, "nothing kills the writer"
        assert int(lines[-1][5:]) == signal.SIGKILL, "it died of something else; see its traceback"
        return [int(line) for line in lines if line.isdigit()]

    def _read(self, lines: list[bytes], timeout_s: float) -> None:
        if select.select([self._output], [], [], timeout_s)[0]:
            data = os.read(self._output.fileno(), 65_536)
            assert data, "the nursery is gone"
            *whole, self._lines = (self._lines + data).split(b"\n")
            lines += whole
        else:
            assert timeout_s < PATIENCE_S, "the writer hangs"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


class Checked:
    """What a reader in another process sees of the log, checked as it grows."""

    def __init__(self, directory: Path) -> None:
        self.events: list[RecordedEvent] = []
        self._reader = LogReader(directory)
        self._versions: dict[str, int] = defaultdict(lambda: -1)
        self._all: set[int] = set()
        self._streams: set[int] = set()

    def follow(self, acknowledged: list[int]) -> None:
        """Check what is new, and that what was acknowledged lately is there."""
        while events := self._reader.read(len(self.events), 10_000):
            self.add(events)
        self.check(acknowledged)

    def add(self, events: list[RecordedEvent]) -> None:
        for position, event in enumerate(events, start=len(self.events) + 1):
            assert event.position == position
            self._versions[event.stream] += 1
            assert event.version == self._versions[event.stream]
            number = int(event.payload)
            assert event.metadata == b"x" * (number % 200)
            assert event.stream in ("all", f"s{number % 7}")
            numbers = self._all if event.stream == "all" else self._streams
            assert number not in numbers, "a batch is there twice"
            numbers.add(number)
        self.events += events

    def check(self, acknowledged: Iterable[int]) -> None:
        assert len(self._all) == len(self._streams), "a batch is there by half"
        assert self._all.issuperset(acknowledged), "an acknowledged batch is lost"

    def close(self) -> None:
        self._reader.close()


def check_whole(directory: Path, checked: Checked, acknowledged: set[int]) -> None:
    with EventLog.open(directory) as log:
        events = log.read(0, 10_000_000)
        assert events[: len(checked.events)] == checked.events, "a reader saw what is not there"
        checked.add(events[len(checked.events) :])
        checked.check(acknowledged)
        for name in ("all", *(f"s{n}" for n in range(7))):
            expected = [event for event in events if event.stream == name]
            assert log.read_stream(name) == expected
    report = operations.verify(directory)
    assert report.ok, report.findings
    assert report.segments > 3


@pytest.mark.parametrize("seed", range(KILLS // KILLS_A_LOG))
def test_after_any_kill_what_was_acknowledged_is_there(
    tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    directory = tmp_path / "log"
    chance = random.Random(seed)
    acknowledged: set[int] = set()
    checked = Checked(directory)
    how: Counter[str] = Counter()
    for kill in range(KILLS_A_LOG):
        first = (kill + 1) * NUMBERS
        way = ("ready", "pid", "call", "ready", "call")[kill % 5]  # pid: at the start, its recovery
        how[way] += 1
        if way == "call":
            call = chance.choice(CALLS)
            count = chance.choice((1, 2, 3, chance.randint(4, 9)))
            lately = nursery.run_until(directory, first, call, count)
        else:
            longest = LONGEST_S if way == "ready" else LONGEST_S / 3
            after_s = chance.uniform(0, longest)
            lately = nursery.run_and_kill(directory, first, way.encode(), after_s)
        acknowledged.update(lately)
        checked.follow(lately)
    checked.close()
    assert how == {"ready": 20, "pid": 10, "call": 20}
    assert len(acknowledged) > KILLS_A_LOG
    check_whole(directory, checked, acknowledged)


@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_each_call_that_changes_the_disk_loses_nothing(
    tmp_path: Path, nursery: Nursery, call: str
) -> None:
    """Four times in a row, so that recoveries are killed as well."""
    directory = tmp_path / "log"
    acknowledged: set[int] = set()
    checked = Checked(directory)
    for number, count in enumerate((7, 1, 2, 4), start=1):
        lately = nursery.run_until(directory, number * NUMBERS, call, count)
        acknowledged.update(lately)
        checked.follow(lately)
    checked.close()
    acknowledged.update(nursery.run_and_kill(directory, 9 * NUMBERS, b"ready", 0.2))
    with EventLog.open(directory) as log:
        checked.add(log.read(len(checked.events), 10_000_000))
        checked.check(acknowledged)
        assert log.read_stream("all") == [e for e in checked.events if e.stream == "all"]
    assert operations.verify(directory).ok
