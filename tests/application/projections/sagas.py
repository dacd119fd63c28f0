"""Refunds and sagas that happened, for tests of read models: written by the engine itself."""

from application.sagas import engine, operator, refund
from application.sagas.outcome import CallOutcome, OutcomeKind
from domain.contact.events import SubjectErased
from domain.conversation.events import ConversationContactErased
from domain.refund.events import (
    ApprovalRule,
    RefundApproved,
    RefundLine,
    RefundPolicySet,
    RefundRejected,
    RefundRequested,
)
from domain.refund.refund import Refund
from domain.saga.events import OperatorAction, SagaEvent
from domain.saga.saga import evolve
from domain.saga.state import Saga
from tests.application.projections.fakes import START_US, History

ASKED = "杯子碎了"


def request(
    history: History,
    id: str,
    conversation: str = "c1",
    *,
    amount_minor: int = 1_230,
    currency: str = "CNY",
    order: str = "A-1",
    by: str = "agent:a1",
) -> None:
    lines = (RefundLine("cup-7", 2, amount_minor),)
    event = RefundRequested(
        conversation, "p1", order, amount_minor, currency, ASKED, lines, ("m1",), by
    )
    history.happens(f"refund-{id}", event)


def approve(history: History, id: str, by: str = "agent:a2") -> None:
    history.happens(f"refund-{id}", RefundApproved(ApprovalRule.FOUR_EYES, by))


def reject(history: History, id: str, by: str = "agent:a2", reason: str = "杯子没碎") -> None:
    history.happens(f"refund-{id}", RefundRejected(by, "declined", reason))


def policy(history: History, currency: str = "CNY") -> None:
    event = RefundPolicySet(currency, 500, 2_000, 100_000)
    history.happens(f"refund_policy-{currency}", event)


def erase(history: History, contact: str = "p1", conversation: str = "c1") -> None:
    history.happens(f"contact-{contact}", SubjectErased("asked", "agent:a1", None))
    history.happens(f"conversation-{conversation}", ConversationContactErased())


class Story:
    """One saga of a refund, told by what its calls come to."""

    def __init__(self, id: str, conversation: str = "c1") -> None:
        self.definition = refund.definition_v1()
        self.saga = Saga(id)
        self.events: list[SagaEvent] = []
        self._now_us = START_US
        data = refund.data_of(Refund(id, conversation_id=conversation, order_reference="A-1"))
        self._take(engine.start(self.definition, self.saga, data, conversation, self._now_us))

    def outcome(self, kind: OutcomeKind, *, asked: bool = False) -> "Story":
        """The pending call's next attempt comes to this, or it is answered when it is asked for."""
        self._now_us += 1
        pending = self.saga.pending
        assert pending is not None
        outcome = CallOutcome(kind, reference="re_7", code="because")
        attempt = 0 if asked else pending.attempts + 1
        self._take(
            engine.record(self.definition, self.saga, pending.key, attempt, outcome, self._now_us)
        )
        return self

    def timer(self) -> "Story":
        """The timer's time comes."""
        timer = self.saga.timer
        assert timer is not None
        self._now_us = timer.at_us
        self._take(engine.fire(self.definition, self.saga, timer.id, self._now_us))
        return self

    def operate(self, action: OperatorAction, reference: str | None = None) -> "Story":
        """A person decides."""
        self._take(
            operator.operate(self.definition, self.saga, action, "seen", reference, self._now_us)
        )
        return self

    def _take(self, events: tuple[SagaEvent, ...]) -> None:
        assert events
        for event in events:
            self.events.append(event)
            self.saga = evolve(self.saga, event)


def completed(id: str) -> Story:
    story = Story(id)
    story.outcome(OutcomeKind.NOT_EXECUTED).timer()
    for _ in range(4):
        story.outcome(OutcomeKind.SUCCEEDED)
    return story


def compensated(id: str) -> Story:
    story = Story(id).outcome(OutcomeKind.SUCCEEDED)
    return story.outcome(OutcomeKind.DECLINED).outcome(OutcomeKind.SUCCEEDED)


def parked(id: str) -> Story:
    """Its payment's outcome is unknown until the deadline."""
    story = Story(id).outcome(OutcomeKind.SUCCEEDED).outcome(OutcomeKind.UNKNOWN)
    while story.saga.parked is None:
        story.timer()
        if story.saga.parked is None:
            story.outcome(OutcomeKind.UNKNOWN, asked=True)
    return story
