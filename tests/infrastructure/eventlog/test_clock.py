"""A wall clock that is set, forward or back, changes neither order nor the life of a segment."""

import time
from pathlib import Path

import pytest

from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import wait_until

DAY_NS = 86_400_000_000_000
START_NS = 1_800_000_000_000_000_000


class WallClock:
    """A fake for failure only: `time.time` and `time.time_ns` as somebody sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = START_NS
        monkeypatch.setattr(time, "time_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "time", lambda: self.now_ns / 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


def test_recorded_times_never_decrease(tmp_path: Path, clock: WallClock) -> None:
    with EventLog.open(tmp_path / "log") as log:
        for jump in (0, 5, -3, 1, -40, 60):
            clock.now_ns += jump * DAY_NS
            log.append_sync([batch("s", b"x")])
        times = [event.recorded_us for event in log.read(0, 10)]
    assert times == sorted(times)
    assert times[1] == times[2] == times[3] == times[4] == (START_NS + 5 * DAY_NS) // 1000
    assert times[5] == (START_NS + 23 * DAY_NS) // 1000


def test_a_clock_that_jumps_forward_rolls_nothing(tmp_path: Path, clock: WallClock) -> None:
    with EventLog.open(tmp_path / "log", max_segment_age_s=3600) as log:
        for _ in range(5):
            log.append_sync([batch("s", b"x")])
            clock.now_ns += DAY_NS
        assert log.stats.segments_rolled == 0


@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_that_goes_back_does_not_keep_an_idle_segment_open(
    tmp_path: Path, clock: WallClock, restart: bool
) -> None:
    log = EventLog.open(tmp_path / "log", max_segment_age_s=3600 if restart else 0.3)
    log.append_sync([batch("s", b"x")])
    clock.now_ns -= 400 * DAY_NS
    if restart:
        log.close()
        log = EventLog.open(tmp_path / "log", max_segment_age_s=0.3)
    wait_until(lambda: log.stats.segments_rolled == 1, 20, "it rolls by age")
    for _ in range(5):
        log.append_sync([batch("s", b"x")])
    assert log.stats.segments_rolled <= 2
    log.close()


def test_a_segment_that_is_old_at_the_start_rolls_once(tmp_path: Path, clock: WallClock) -> None:
    with EventLog.open(tmp_path / "log") as log:
        log.append_sync([batch("s", b"x")])
    clock.now_ns += DAY_NS
    with EventLog.open(tmp_path / "log", max_segment_age_s=3600) as log:
        wait_until(lambda: log.stats.segments_rolled == 1, 20, "it rolls by age")
        for _ in range(5):
            log.append_sync([batch("s", b"x")])
        assert log.stats.segments_rolled == 1
