"""Batches, exactly once, parking and outages, over a feed and a store in memory."""

import gc

import pytest

from application.projections.runner import ProjectionRunner
from domain.errors import Unavailable
from tests.application.projections.fakes import POISON, FakeFeed, FakeProjectionStore, History


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture
def history(feed: FakeFeed) -> History:
    history = History(feed.append)
    history.conversation("c1")
    return history


@pytest.fixture
def store() -> FakeProjectionStore:
    return FakeProjectionStore()


def _run_to_the_end(feed: FakeFeed, store: FakeProjectionStore, **options: int) -> ProjectionRunner:
    """`run` until the store holds everything; bounded by the number of turns."""
    runner = ProjectionRunner(feed, store, **options)
    turns = iter(range(1_000))
    runner.run(lambda: store.at == feed.durable_position() or next(turns, None) is None)
    assert store.at == feed.durable_position()
    return runner


def test_a_batch_has_at_most_so_many_events(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    for _ in range(10):
        history.visitor_says("c1", "hello")
    runner = _run_to_the_end(feed, store, batch_events=4)
    assert store.commits == 6
    assert (runner.stats.events, runner.stats.batches, runner.stats.lag_events) == (21, 6, 0)


def test_an_event_counts_once_when_the_runner_is_killed_between_batches(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    for _ in range(10):
        history.visitor_says("c1", "hello")
    while store.at < feed.durable_position():
        assert ProjectionRunner(feed, store, batch_events=3).step()  # each a new process
    assert store.rows.conversations["c1"].unread_count == 10


def test_an_event_counts_once_when_the_answer_to_a_commit_is_lost(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    history.visitor_says("c1", "hello")
    store.lost_answers = 1
    runner = _run_to_the_end(feed, store)
    assert store.rows.conversations["c1"].unread_count == 1
    assert runner.stats.failures == 0 or runner.stats.failures == 1


def test_the_runner_waits_for_a_database_that_is_down_and_catches_up(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    history.visitor_says("c1", "hello")
    store.outages = 2
    runner = _run_to_the_end(feed, store)
    assert runner.stats.failures == 2
    assert store.rows.conversations["c1"].unread_count == 1


def test_the_lag_grows_while_the_database_is_down(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    store.outages = 1
    runner = ProjectionRunner(feed, store)
    turns = iter([False, True, True])
    runner.run(lambda: next(turns, True))
    assert runner.stats.lag_events == feed.durable_position()


def test_a_runner_that_finds_the_position_moved_goes_on_from_there(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    runner = ProjectionRunner(feed, store)
    assert runner.step()
    history.visitor_says("c1", "hello")
    _run_to_the_end(feed, store)  # another projector, or a switch to rebuilt views
    history.visitor_says("c1", "again")
    turns = iter(range(100))
    runner.run(lambda: store.at == feed.durable_position() or next(turns, None) is None)
    assert store.rows.conversations["c1"].unread_count == 2


@pytest.mark.parametrize(
    ("type", "payload", "error"),
    [
        ("conversation.from_the_future.v9", b"{}", "UnknownEventType"),
        ("conversation.assigned.v9", b"{}", "NewerEventVersion"),
        ("conversation.assigned.v1", b'{"type":"conversation.assigned.v1"}', "UndecodableEvent"),
        ("conversation.assigned.v1", b"\xff", "UndecodableEvent"),
        (
            "conversation.assigned.v1",
            b'{"type":"conversation.assigned.v1","assignee_id":"a1"}',
            "KeyError",
        ),
    ],
    ids=["unknown type", "newer version", "missing field", "no JSON", "never opened"],
)
def test_a_poison_event_is_parked_with_its_error_and_the_others_go_on(
    feed: FakeFeed,
    history: History,
    store: FakeProjectionStore,
    type: str,
    payload: bytes,
    error: str,
) -> None:
    history.visitor_says("c1", "before")
    feed.append_raw("conversation-never-opened", type, payload)
    history.visitor_says("c1", "after")
    runner = _run_to_the_end(feed, store)
    (parked,) = store.parked
    assert (parked.position, parked.stream, parked.type) == (4, "conversation-never-opened", type)
    assert parked.error.startswith(error)
    assert store.rows.conversations["c1"].unread_count == 2
    assert runner.stats.parked == 1


@pytest.mark.parametrize("place", [0, 3, 9])
def test_an_event_that_the_store_refuses_is_found_by_halving_and_parked(
    feed: FakeFeed, history: History, store: FakeProjectionStore, place: int
) -> None:
    for number in range(10):
        history.visitor_says("c1", POISON if number == place else "fine")
    _run_to_the_end(feed, store)
    (parked,) = store.parked
    assert (parked.type, parked.position) == ("message.sent.v1", 3 + 2 * place)
    assert len(store.rows.messages) == 9
    assert store.rows.conversations["c1"].last_seq == 10


def test_an_event_whose_rows_can_not_even_be_looked_up_is_parked(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    history.visitor_says("c1", "before")
    history.edit("c1", 2**40, "out of every range")
    history.visitor_says("c1", "after")
    _run_to_the_end(feed, store)
    (parked,) = store.parked
    assert (parked.type, parked.position) == ("message.edited.v1", 4)
    assert len(store.rows.messages) == 2


def test_events_of_streams_without_a_read_model_move_the_position_only(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    feed.append_raw("parcel-1", "parcel.sent.v1", b"{}")
    _run_to_the_end(feed, store)
    assert (store.at, store.parked) == (2, [])


def test_catching_up_reports_its_progress_and_fails_while_the_database_is_down(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    history.visitor_says("c1", "hello")
    seen: list[int] = []
    ProjectionRunner(feed, store, batch_events=2).catch_up(3, seen.append)
    assert seen == [2, 3]
    history.visitor_says("c1", "hello")
    store.outages = 1
    with pytest.raises(Unavailable):
        ProjectionRunner(feed, store).catch_up(5)


def test_garbage_is_collected_again_after_a_batch_that_failed(
    feed: FakeFeed, history: History, store: FakeProjectionStore
) -> None:
    history.visitor_says("c1", "hello")
    store.outages = 1
    with pytest.raises(Unavailable):
        ProjectionRunner(feed, store).step()
    assert gc.isenabled()
