"""A disk that is really full: read-only before it is, nothing acknowledged is lost, and the log
goes on when there is space again."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.ports.event_store import StoreReadOnly
from infrastructure.eventlog import operations
from infrastructure.eventlog.disk import DiskFull
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from tests.faults.small_disk import fill, free_bytes, small_disk
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import wait_until

pytestmark = pytest.mark.faults

MB = 1024 * 1024
SEGMENT = 4 * MB
EVENT = 200_000


@pytest.fixture(params=["ext4", "tmpfs"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    with small_disk(tmp_path, request.param) as place:
        yield place


def payload(number: int) -> bytes:
    return b"%d " % number * (EVENT // 8)


def append_until_refused(log: EventLog, acknowledged: list[int]) -> str:
    for number in itertools.count(len(acknowledged)):
        try:
            log.append_sync([batch(f"s-{number % 3}", payload(number))])
        except StoreReadOnly as refused:
            return str(refused)
        acknowledged.append(number)
        assert len(acknowledged) < 2_000, "the disk never fills up"
    raise AssertionError


def check(directory: Path, acknowledged: list[int]) -> None:
    found = [event.payload for event in operations.export(directory)]
    assert found == [payload(number) for number in acknowledged]
    report = operations.verify(directory)
    assert report.ok, report.findings


def test_the_log_is_read_only_before_the_disk_is_full_and_goes_on_when_there_is_space(
    disk: Path,
) -> None:
    directory, ballast = disk / "log", disk / "ballast"
    acknowledged: list[int] = []
    with EventLog.open(directory, max_segment_bytes=SEGMENT) as log:
        log.append_sync([batch("s-0", payload(0))])
        acknowledged.append(0)
        fill(ballast, leave=30 * MB)
        for _ in range(3):
            assert "no space" in append_until_refused(log, acknowledged)
            assert log.failure is not None
            assert log.durable_position == len(acknowledged)
            assert free_bytes(disk) >= 10 * MB, "nothing was taken that is not used"
        wait_until(lambda: len(list(directory.glob("*.open"))) == 1, 30, "full segments are sealed")
        check(directory, acknowledged)
        assert log.read_stream("s-0")[-1].payload == payload(3 * ((len(acknowledged) - 1) // 3))
        before = len(acknowledged)
        ballast.unlink()
        append_until_refused(log, acknowledged)
        assert len(acknowledged) > before
    with EventLog.open(directory) as log:
        assert log.recovered is None
        assert log.index_failure is None
    check(directory, acknowledged)


def test_others_may_fill_the_disk_to_the_last_byte(disk: Path) -> None:
    directory, ballast = disk / "log", disk / "ballast"
    acknowledged: list[int] = []
    with EventLog.open(directory, max_segment_bytes=SEGMENT) as log:
        log.append_sync([batch("s-0", payload(0))])
        acknowledged.append(0)
        fill(ballast)
        assert free_bytes(disk) < 8192
        append_until_refused(log, acknowledged)  # what was reserved can still be used
        assert len(acknowledged) * EVENT > 10 * MB
        assert log.durable_position == len(acknowledged)
        check(directory, acknowledged)
    fill(ballast)
    with pytest.raises(DiskFull, match="index"):
        EventLog.open(directory, max_segment_bytes=SEGMENT)
    check(directory, acknowledged)
    reader = LogReader(directory)
    assert reader.durable_position() == len(acknowledged)
    assert reader.read(0, 1)[0].payload == payload(0)
    reader.close()
    with ballast.open("ab") as file:
        file.truncate(ballast.stat().st_size - MB)  # enough for the index
    with EventLog.open(directory, max_segment_bytes=SEGMENT) as log:
        append_until_refused(log, acknowledged)
        assert log.read_stream("s-1")[0].payload == payload(1)
        check(directory, acknowledged)
        before = len(acknowledged)
        ballast.unlink()
        append_until_refused(log, acknowledged)
        assert len(acknowledged) > before
    check(directory, acknowledged)
    with EventLog.open(directory, max_segment_bytes=SEGMENT):
        pass
    check(directory, acknowledged)
