"""What our recorders of the `eventsourcing` library promise beyond its conformance suite."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import DataError, IntegrityError, StoredEvent, Tracking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import LogLocked
from infrastructure.eventlog.recorder import Factory
from infrastructure.eventlog.recorders import LogApplicationRecorder, LogProcessRecorder
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.stored_events import LogAggregateRecorder


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(tmp_path / "log") as opened:
        yield opened


def event(originator: UUID, version: int, topic: str = "topic", state: bytes = b"") -> StoredEvent:
    return StoredEvent(originator, version, topic, state)


maybe = st.one_of(st.none(), st.integers(-1, 14))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sets(st.integers(0, 12), max_size=8),
    st.booleans(),
    maybe,
    maybe,
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_a_selection_is_what_a_naive_one_selects(
    log: EventLog,
    versions: set[int],
    snapshots: bool,
    gt: int | None,
    lte: int | None,
    desc: bool,
    limit: int | None,
) -> None:
    recorder = LogAggregateRecorder(log, contiguous=not snapshots)
    numbers = sorted(versions) if snapshots else list(range(min(versions, default=1) % 2, 9))
    id = uuid4()
    stored = [event(id, number) for number in numbers]
    recorder.insert_events(stored)
    expected = [
        one
        for one in (reversed(stored) if desc else stored)
        if (gt is None or one.originator_version > gt)
        and (lte is None or one.originator_version <= lte)
    ][:limit]
    found = recorder.select_events(id, gt=gt, lte=lte, desc=desc, limit=limit)
    assert list(found) == expected


def test_the_newest_snapshot_is_found_without_reading_the_others(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = LogAggregateRecorder(log, contiguous=False)
    id = uuid4()
    for version in range(5, 500, 5):
        recorder.insert_events([event(id, version)])
    read = []
    original = log.read_stream

    def counting(*args: object) -> list[object]:
        found = original(*args)  # type: ignore[arg-type]
        read.extend(found)
        return found  # type: ignore[return-value]

    monkeypatch.setattr(log, "read_stream", counting)
    (last,) = recorder.select_events(id, desc=True, limit=1)
    assert (last.originator_version, len(read)) == (495, 1)
    (older,) = recorder.select_events(id, lte=251, desc=True, limit=1)
    assert older.originator_version == 250
    assert len(read) < 12


def test_streams_begin_at_0_or_1_and_go_on_without_gaps_and_snapshots_need_not(
    log: EventLog,
) -> None:
    events = LogAggregateRecorder(log)
    for first in (0, 1):
        id = uuid4()
        events.insert_events([event(id, first), event(id, first + 1)])
        for wrong in (first + 1, first + 3):
            with pytest.raises(IntegrityError):
                events.insert_events([event(id, wrong)])
    with pytest.raises(IntegrityError):
        events.insert_events([event(uuid4(), 2)])
    snapshots = LogAggregateRecorder(log, contiguous=False)
    id = uuid4()
    snapshots.insert_events([event(id, 7)])
    snapshots.insert_events([event(id, 70)])
    with pytest.raises(IntegrityError):
        snapshots.insert_events([event(id, 70)])


@pytest.mark.parametrize(
    "bad",
    [
        event(uuid4(), 1, state=bytes(format.MAX_EVENT_BYTES + 1)),
        event(uuid4(), 1, topic="t" * 600),
        event(uuid4(), 1, state="text"),  # type: ignore[arg-type]
    ],
    ids=["too long", "topic too long", "not bytes"],
)
def test_what_is_over_a_limit_is_a_data_error_and_nothing_is_written(
    log: EventLog, bad: StoredEvent
) -> None:
    recorder = LogProcessRecorder(log)
    with pytest.raises(DataError):
        recorder.insert_events([event(uuid4(), 1), bad], tracking=Tracking("up", 1))
    assert log.durable_position == 0
    assert recorder.max_tracking_id("up") is None


def test_a_subscription_by_topic_moves_over_other_topics(log: EventLog) -> None:
    recorder = LogApplicationRecorder(log)
    with recorder.subscribe(topics=["rare"]) as subscription:
        recorder.insert_events([event(uuid4(), 1, "common") for _ in range(20)])
        recorder.insert_events([event(uuid4(), 1, "rare")])
        assert next(subscription).id == 21
        recorder.insert_events([event(uuid4(), 1, "common") for _ in range(20)])
        found, after = recorder.scan(21, 10, ["rare"])
        assert (found, after) == ([], 41)
        recorder.insert_events([event(uuid4(), 1, "rare")])
        assert next(subscription).id == 42
    assert [n.id for n in recorder.select_notifications(1, 9, topics=["rare"])] == [21, 42]
    assert [n.id for n in recorder.select_notifications(1, 9, stop=41, topics=["rare"])] == [21]
    assert [n.id for n in recorder.select_notifications(40, 2)] == [40, 41]


def test_what_is_recorded_while_a_subscription_begins_is_not_missed(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = LogApplicationRecorder(log)
    listen = recorder.listen

    def late(woken: object) -> None:
        recorder.insert_events([event(uuid4(), 1)])  # nobody listens yet
        listen(woken)  # type: ignore[arg-type]

    monkeypatch.setattr(recorder, "listen", late)
    with recorder.subscribe() as subscription:
        assert next(subscription).id == 1


class OwnApplicationRecorder(LogApplicationRecorder):
    """Named by the environment."""


class OwnProcessRecorder(LogProcessRecorder):
    """Named by the environment."""


def test_the_environment_names_recorders_of_ones_own(tmp_path: Path) -> None:
    env = {
        "PERSISTENCE_MODULE": Factory.__module__,
        "EVENTLOG_DIR": str(tmp_path),
        "APPLICATION_RECORDER_TOPIC": f"{__name__}:OwnApplicationRecorder",
        "PROCESS_RECORDER_TOPIC": f"{__name__}:OwnProcessRecorder",
    }
    with Application[UUID](env) as app:
        assert type(app.recorder) is OwnApplicationRecorder
        assert type(app.factory.process_recorder()) is OwnProcessRecorder


def test_the_module_alone_gives_each_application_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVENTLOG_DIR", raising=False)

    class Shop(Application[UUID]):
        """An application."""

    class Stock(Application[UUID]):
        """Another."""

    env = {"PERSISTENCE_MODULE": Factory.__module__}
    with Shop(env), Stock(env):
        found = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*")}
    assert found == {"eventlog/Shop/events", "eventlog/Stock/events"}


def test_a_log_that_another_process_writes_is_refused_by_name(
    tmp_path: Path, log: EventLog
) -> None:
    with pytest.raises(LogLocked, match="log is written by process"), contextlib.ExitStack() as s:
        s.enter_context(EventLog.open(tmp_path / "log"))
