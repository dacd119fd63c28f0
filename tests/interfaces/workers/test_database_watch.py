"""An embedded Postgres that ends is started again, ever later, and never ends the roles."""

from collections import Counter

import pytest

from domain.errors import Unavailable
from interfaces.workers import database_watch
from interfaces.workers.database_watch import DatabaseWatch
from interfaces.workers.stop_signals import StopSignals


class FakeDatabase:
    """A fake: only its failures matter here."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.fails = False
        self.starts = 0

    def start(self) -> bool:
        self.starts += 1
        if self.fails:
            raise Unavailable("no")
        self.pid = 1
        return False

    def stop(self) -> None:
        self.pid = None


class FakeTime:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(database_watch, "time", fake)
    return fake


def test_it_is_started_again_after_a_moment(time: FakeTime) -> None:
    database, restarts = FakeDatabase(), Counter[str]()
    watch = DatabaseWatch(database, StopSignals(), restarts)
    watch.start()
    watch.tend()
    assert database.starts == 1
    database.pid = None
    watch.tend()
    assert database.starts == 1
    time.now += 0.25
    watch.tend()
    assert (database.starts, restarts["postgres"], watch.running) == (2, 1, True)


def test_attempts_become_rare_and_frequent_again_after_a_steady_time(time: FakeTime) -> None:
    database = FakeDatabase()
    watch = DatabaseWatch(database, StopSignals(), Counter())
    watch.start()
    database.pid, database.fails = None, True
    for _ in range(600):  # a minute
        watch.tend()
        time.now += 0.1
    assert 7 <= database.starts <= 12
    database.fails = False
    time.now += 11
    watch.tend()
    assert watch.running
    time.now += 31
    database.pid = None
    watch.tend()
    time.now += 0.25
    watch.tend()
    assert watch.running


def test_a_first_start_that_fails_is_told(time: FakeTime) -> None:
    database = FakeDatabase()
    database.fails = True
    with pytest.raises(Unavailable):
        DatabaseWatch(database, StopSignals(), Counter()).start()
