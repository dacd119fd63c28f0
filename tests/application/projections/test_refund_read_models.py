"""What each event of refunds and sagas changes in the read models, over a store in memory."""

from functools import reduce

import pytest

from application.projections.runner import ProjectionRunner
from domain.refund import events as r
from domain.saga.events import CallSucceeded, OperatorAction
from domain.saga.saga import evolve
from domain.saga.state import Saga, Status
from tests.application.projections import sagas
from tests.application.projections.fakes import START_US, FakeFeed, FakeProjectionStore, History


class World:
    def __init__(self) -> None:
        self.feed = FakeFeed()
        self.history = History(self.feed.append)
        self.store = FakeProjectionStore()

    def project(self, batch_events: int = 1_000) -> None:
        runner = ProjectionRunner(self.feed, self.store, batch_events=batch_events)
        runner.catch_up(self.feed.durable_position())


@pytest.fixture
def world() -> World:
    return World()


def test_a_refund_is_stored_as_it_was_asked_for(world: World) -> None:
    sagas.request(world.history, "r1")
    world.project()
    row = world.store.rows.refunds["r1"]
    assert (row.status, row.amount_minor, row.currency) == ("requested", 1_230, "CNY")
    assert (row.requested_by, row.decided_by, row.reason) == ("agent:a1", None, sagas.ASKED)
    assert (row.lines, row.evidence) == ((r.RefundLine("cup-7", 2, 1_230),), ["m1"])
    assert (row.position, row.created_us) == (1, START_US + 1_000_000)


@pytest.mark.parametrize(
    ("events", "status", "failure"),
    [
        ((), "approved", None),
        ((r.RefundSettled("re_7"),), "settled", None),
        ((r.RefundSettled("re_7"), r.RefundPaymentReversed("closed")), "reversed", "closed"),
        ((r.RefundFailed("too-low", ("notice",)),), "failed", "too-low"),
        ((r.RefundSettled("re_7"), r.RefundCompleted(("notice",))), "completed", None),
    ],
)
def test_a_refund_says_how_far_it_is_and_why(
    world: World, events: tuple[r.RefundEvent, ...], status: str, failure: str | None
) -> None:
    sagas.request(world.history, "r1")
    sagas.approve(world.history, "r1")
    for event in events:
        world.history.happens("refund-r1", event)
    world.project(batch_events=1)
    row = world.store.rows.refunds["r1"]
    assert (row.status, row.failure, row.decided_by) == (status, failure, "agent:a2")
    assert row.position == 2 + len(events)
    assert row.updated_us > row.created_us


def test_a_change_of_a_refund_that_nobody_asked_for_is_parked(world: World) -> None:
    sagas.approve(world.history, "r1")
    world.project()
    assert [parked.stream for parked in world.store.parked] == ["refund-r1"]


def test_the_newest_policy_of_a_currency_counts(world: World) -> None:
    sagas.policy(world.history)
    world.history.happens("refund_policy-CNY", r.RefundPolicySet("CNY", 0, 1, None))
    world.project()
    row = world.store.rows.refund_policies["CNY"]
    assert (row.automatic_up_to_minor, row.four_eyes_above_minor) == (0, 1)
    assert row.agent_daily_minor is None


@pytest.mark.parametrize("batch_events", [1, 2, 1_000])
@pytest.mark.parametrize("story", [sagas.completed, sagas.compensated, sagas.parked])
def test_a_sagas_row_is_what_its_events_fold_to(
    world: World, story: type[sagas.Story], batch_events: int
) -> None:
    events = story("s1").events
    for event in events:
        world.history.happens("saga-s1", event)
    world.project(batch_events)
    row = world.store.rows.sagas["s1"]
    assert row.state == reduce(evolve, events, Saga("s1"))
    assert (row.started_us, row.updated_us) == (
        START_US + 1_000_000,
        START_US + len(events) * 1_000_000,
    )


def test_an_event_that_does_not_fit_is_parked_and_the_saga_goes_on(world: World) -> None:
    story = sagas.parked("s1").operate(OperatorAction.MARK_SETTLED, "re_9")
    for event in story.events[:3]:
        world.history.happens("saga-s1", event)
    world.history.happens("saga-s1", CallSucceeded("no-such-key", "re_7", None))
    for event in story.events[3:]:
        world.history.happens("saga-s1", event)
    world.project()
    assert len(world.store.parked) == 1
    assert world.store.rows.sagas["s1"].state.status is Status.RUNNING
    assert world.store.rows.sagas["s1"].state == story.saga


@pytest.mark.parametrize("batch_events", [1, 1_000])
def test_of_an_erased_contact_no_reason_is_kept(world: World, batch_events: int) -> None:
    world.history.contact("p1", "李雷")
    world.history.conversation("c1")
    for id in ("r1", "r2", "r3"):
        sagas.request(world.history, id)
    sagas.reject(world.history, "r2")
    sagas.reject(world.history, "r3", "policy", "too little is left")
    sagas.erase(world.history)
    world.project(batch_events)
    rows = world.store.rows.refunds
    assert [row.reason for row in rows.values()] == ["", "", ""]
    reasons = [rows[id].rejection_reason for id in ("r1", "r2", "r3")]
    assert reasons == [None, "", "too little is left"]
