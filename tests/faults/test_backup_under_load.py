"""A backup of a log that another process is writing: what was acknowledged before is in it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import operations
from infrastructure.eventlog.backup import backup
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.restore import restore
from infrastructure.eventlog.store import EventLog
from tests.faults.test_log_kill import Checked
from tests.serving import Kefu, wait_until

pytestmark = pytest.mark.faults
BACKUPS = 30 if os.environ.get("KEFU_SOAK") == "1" else 6


WRITE = """
import sys
from pathlib import Path
from tests.faults.log_writer import write
write(Path(sys.argv[1]), 0)
"""


def checked(directory: Path, acknowledged: set[int]) -> list[RecordedEvent]:
    """The events of a log, in order and whole; what was acknowledged is among them."""
    found = Checked(directory)
    found.follow(sorted(acknowledged))
    found.close()
    return found.events


class Writer:
    """The log writer of the kill tests, and what it has acknowledged so far."""

    def __init__(self, directory: Path) -> None:
        self._acks = directory.with_suffix(".acks")
        command = [sys.executable, "-c", WRITE, str(directory)]
        with self._acks.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output)

    def acknowledged(self) -> set[int]:
        lines = self._acks.read_bytes().split(b"\n")[:-1]
        return {int(line) for line in lines if line != b"ready"}

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def with_writer(directory: Path, work: Callable[[Writer], None]) -> None:
    writer = Writer(directory)
    try:
        wait_until(lambda: len(writer.acknowledged()) > 100, 30, "the writer is under load")
        work(writer)
    finally:
        writer.stop()


def test_everything_acknowledged_before_a_backup_began_is_in_it_and_in_order(
    tmp_path: Path,
) -> None:
    directory, saved = tmp_path / "log", tmp_path / "saved"
    taken: list[int] = []

    def work(writer: Writer) -> None:
        for number in range(BACKUPS):
            before = writer.acknowledged()
            report = backup(directory, saved)
            restored = tmp_path / f"restored-{number}"
            assert restore(saved, restored).position == report.position
            with EventLog.open(restored) as log:
                assert log.recovered is None, "it ends cleanly"
            events = checked(restored, before)
            assert len(events) == report.position
            reader = LogReader(directory)
            prefix = []
            while len(prefix) < len(events):
                prefix += reader.read(len(prefix), min(1_000, len(events) - len(prefix)))
            reader.close()
            assert events == prefix, "it is a prefix of the log"
            taken.append(report.position)
            more = len(writer.acknowledged()) + 100
            wait_until(lambda: len(writer.acknowledged()) > more, 30, "it goes on writing")  # noqa: B023

    with_writer(directory, work)
    assert taken == sorted(set(taken))
    assert operations.verify(saved / "log").ok
    with EventLog.open(directory):  # after the kill, and the backup fits it still
        pass
    backup(directory, saved)


def test_the_commands_work_on_a_log_in_use_and_say_what_they_did(tmp_path: Path) -> None:
    data, saved, new = tmp_path / "data", tmp_path / "saved", tmp_path / "new"
    data.mkdir()

    def work(writer: Writer) -> None:
        before = writer.acknowledged()
        report = json.loads(Kefu(data).cli("log", "backup", str(saved), "--json").stdout)
        again = Kefu(data).cli("log", "backup", str(saved))
        assert "copied" in again.stdout
        assert "backup" in again.stderr, "a progress bar"
        assert Kefu(saved).cli("log", "verify").returncode == 0
        restored = json.loads(Kefu(new).cli("log", "restore", str(saved), "--json").stdout)
        assert restored["position"] >= report["position"] > 0
        checked(new / "log", before)
        refused = Kefu(data).cli("log", "restore", str(saved), check=False)
        assert (refused.returncode, "holds a log" in refused.stderr) == (2, True)
        refused = Kefu(data).cli("log", "backup", str(new), check=False)
        assert (refused.returncode, "neither empty nor a backup" in refused.stderr) == (2, True)
        refused = Kefu(tmp_path / "x").cli("log", "restore", str(new), check=False)
        assert (refused.returncode, "no backup" in refused.stderr) == (1, True)

    with_writer(data / "log", work)
