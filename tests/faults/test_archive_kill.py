"""Killed at any step of archiving and deleting: every event is here or, proven, in the archive."""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from infrastructure.eventlog import operations
from infrastructure.eventlog.archive.archiver import only_archiver, upload
from infrastructure.eventlog.archive.directory_store import DirectoryStore
from infrastructure.eventlog.archive.expiry import ExpiryReport, expire
from infrastructure.eventlog.archive.location import Location, save_location
from infrastructure.eventlog.retention import CursorRegistry, RetentionPolicy
from infrastructure.eventlog.segment import list_segments
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.archive.conftest import fill

pytestmark = pytest.mark.faults

STEPS = ("open", "os.remove", "os.rename", "os.link", "os.chmod", "tempfile.mkstemp")
"""Audit events (docs.python.org/3/library/audit_events.html) of what changes files."""


def archive(log: Path, store: Path) -> ExpiryReport:
    with only_archiver(log):
        upload(log, DirectoryStore(store))
        policy = RetentionPolicy(segments=1, hours=0, free_bytes=0)
        return expire(log, DirectoryStore(store), policy, CursorRegistry({}), lambda: 4)


def killed_at(step: int, log: Path, store: Path) -> bool:
    """Archive in a process that is killed before its step with this number; False: it has none."""
    pid = os.fork()
    if pid == 0:
        left = itertools.count(step, -1)

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event in STEPS and next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            archive(log, store)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def test_killed_before_any_step_nothing_is_lost_and_the_next_round_finishes(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "log", segments=3)
    whole = list(operations.export(tmp_path / "log"))
    kills = half = moved = 0
    for step in itertools.count():
        log, store = tmp_path / f"log-{step}", tmp_path / f"store-{step}"
        shutil.copytree(tmp_path / "log", log, ignore=shutil.ignore_patterns("index"))
        store.mkdir()
        save_location(log, Location(store.as_uri()))
        if not killed_at(step, log, store):
            break
        kills += 1
        half += any(store.glob(".part-*"))
        here = {segment.path.name for segment in list_segments(log) if not segment.remote}
        proven = {info.key.removesuffix(".zst") for info in DirectoryStore(store).list()}
        moved += len(here) < 4
        assert {f"{n:020d}.seg" for n in (1, 2, 3)} <= here | proven
        assert list(operations.export(log)) == whole
        archive(log, store)
        assert [segment.remote for segment in list_segments(log)] == [True, True, False, False]
        report = operations.verify(log)
        assert (report.ok, report.events) == (True, 4), report.findings
        EventLog.open(log).close()
        shutil.rmtree(log)
        shutil.rmtree(store)
    assert kills > 30
    assert half, "no kill hit half an upload"
    assert moved, "no kill hit the time between the upload and the last deletion"
