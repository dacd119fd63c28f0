"""Archiving in the background: it goes on after failures, and never gets in the writer's way."""

import threading
from pathlib import Path

import pytest

from infrastructure.eventlog.archive.archiver import only_archiver
from infrastructure.eventlog.archive.compression import Pace, Stopped
from infrastructure.eventlog.archive.service import archive_state
from infrastructure.eventlog.archive.worker import ArchiveWorker
from infrastructure.eventlog.retention import CursorRegistry, RetentionPolicy, cursor_files
from infrastructure.eventlog.segment import list_segments
from infrastructure.eventlog.store import EventLog
from infrastructure.telemetry import collectors
from tests.infrastructure.eventlog.archive.conftest import Archived
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import wait_until

POLICY = RetentionPolicy(segments=1, hours=0, free_bytes=0)


def worker(archived: Archived, log: EventLog, cursors: Path) -> ArchiveWorker:
    return ArchiveWorker(
        archived.log,
        archived.store,
        POLICY,
        CursorRegistry({"cursors": cursor_files(cursors)}),
        lambda: log.durable_position,
        interval_s=0.02,
    )


def metric(running: ArchiveWorker, line: str) -> bool:
    render = collectors.renderer(lambda: collectors.archive_families(running.stats))
    return line in render().decode().splitlines()


def test_segments_are_archived_while_the_log_is_written(on_disk: Archived, tmp_path: Path) -> None:
    with EventLog.open(on_disk.log, max_segment_bytes=1) as log:
        running = worker(on_disk, log, tmp_path / "cursors")
        running.start()
        for number in range(10):
            log.append_sync([batch("more", b"%d" % number)])
        wait_until(lambda: running.stats.remote_segments == 16, 60, "all but two are moved")
        wait_until(lambda: metric(running, 'kefu_log_segments{place="local"} 2.0'), 5, "shown")
        assert [event.position for event in log.read(0, 100)] == list(range(1, 18))
        assert running.stats.deleted == 16
        assert archive_state(on_disk.log) == "ok"
        running.close()


def test_an_outage_is_shown_and_survived(
    on_disk: Archived, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(on_disk.location.url.removeprefix("file://"))
    folder.rename(tmp_path / "away")
    assert archive_state(on_disk.log) == "off"
    with EventLog.open(on_disk.log) as log:
        running = worker(on_disk, log, tmp_path / "cursors")
        running.start()
        wait_until(lambda: running.stats.failures > 1, 30, "a second round fails")
        wait_until(lambda: archive_state(on_disk.log) == "failing", 5, "health shows it")
        assert metric(running, "kefu_archive_failing 1.0")
        assert "ArchiveUnavailable" in str(running.stats.last_error)
        log.append_sync([batch("s", b"the writer goes on")])
        (tmp_path / "away").rename(folder)
        wait_until(lambda: archive_state(on_disk.log) == "ok", 30, "it works again")
        assert metric(running, "kefu_archive_segments_total 6.0")
        running.close()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_cursor_that_is_not_known_is_shown(on_disk: Archived, tmp_path: Path) -> None:
    (tmp_path / "cursors").mkdir()
    (tmp_path / "cursors" / "mirror").write_bytes(b"?")
    with EventLog.open(on_disk.log) as log:
        running = worker(on_disk, log, tmp_path / "cursors")
        running.start()
        wait_until(lambda: archive_state(on_disk.log) == "retention-blocked", 30, "shown")
        assert metric(running, "kefu_retention_blocked 1.0")
        running.close()
    assert not any(segment.remote for segment in list_segments(on_disk.log))


def test_beside_an_archiver_in_another_process_it_waits(on_disk: Archived, tmp_path: Path) -> None:
    with EventLog.open(on_disk.log) as log:
        running = worker(on_disk, log, tmp_path / "cursors")
        with only_archiver(on_disk.log):
            running.start()
            wait_until(lambda: running.stats.local_segments == 7, 30, "a round is over")
            assert (running.stats.segments, running.stats.last_error) == (0, None)
        wait_until(lambda: running.stats.segments == 6, 30, "its turn has come")
        running.close()


def test_the_pace_is_kept_and_ends_when_it_is_told_to() -> None:
    waits: list[float] = []

    class Recorded(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return self.is_set()

    stop = Recorded()
    pace = Pace(1000, stop)
    pace.take(500)
    pace.take(500)
    assert 0.4 < waits[0] <= 0.5
    assert 0.9 < waits[1] <= 1.0
    stop.set()
    with pytest.raises(Stopped):
        pace.take(1)
