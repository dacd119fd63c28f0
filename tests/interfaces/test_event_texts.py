"""Every event of a life has words in both languages, and they are filled in."""

import re
from typing import get_args

import pytest

from application.codec import Metadata, split_name
from application.ports.event_store import RecordedEvent
from application.queries.life import LifeEvent
from application.queries.trace import Gap
from domain.actors import ActorKind
from domain.contact.events import ContactEvent
from domain.conversation.events import ConversationEvent, ConversationReopened, ReopenCause
from domain.events import Event, stored_name
from domain.message.events import Author, MessageEvent, MessageSent
from domain.order.events import OrderEvent
from domain.refund.events import RefundAllowanceUsed, RefundEvent, RefundPolicySet
from domain.saga.events import SagaEvent
from interfaces.audit_shapes import GAPS
from interfaces.console.event_texts import REASONS, TEXTS, reason, words
from tests.golden.samples import SAMPLES

LIVED = {
    *(*get_args(ConversationEvent), *get_args(MessageEvent), *get_args(ContactEvent)),
    *(*get_args(RefundEvent), RefundPolicySet, RefundAllowanceUsed),
    *(*get_args(OrderEvent), *get_args(SagaEvent)),
}
HOLES = re.compile(r"\{\w+\}")


def lived(event: Event | None, type: str) -> LifeEvent:
    recorded = RecordedEvent(1, "stream-1", 0, type, 0, b"{}", b"{}")
    metadata = Metadata(ActorKind.AGENT, "a", "c")
    return LifeEvent(recorded, metadata, event, None if event else "unreadable", None, "韩梅梅")


@pytest.mark.parametrize("event", [s for s in SAMPLES if type(s) in LIVED], ids=stored_name)
def test_an_event_of_a_life_is_told_in_both_languages(event: Event) -> None:
    said = words(lived(event, stored_name(event)))
    for text in said.values():
        assert not HOLES.search(text), text
    assert said["zh"] != said["en"]
    assert split_name(stored_name(event))[0] in TEXTS


def test_both_languages_have_the_same_holes_and_every_cause_and_gap_a_reason() -> None:
    for zh, en in (*TEXTS.values(), *REASONS.values(), *GAPS.values()):
        assert sorted(HOLES.findall(zh)) == sorted(HOLES.findall(en)), en
    assert REASONS.keys() == {cause.value for cause in ReopenCause}
    assert GAPS.keys() == set(Gap)


def test_an_event_that_can_not_be_read_is_named_by_its_type() -> None:
    said = words(lived(None, "conversation.resolved.v9"))
    assert said["en"] == "an event that can't be read: conversation.resolved.v9"


def test_what_people_wrote_is_shortened_and_never_filled_in() -> None:
    author = Author(ActorKind.VISITOR, "v", "V")
    sent = MessageSent("c", 7, author, "{seq} {type} " + "x" * 500, False, "r")
    said = words(lived(sent, stored_name(sent)))["en"]
    assert said.startswith("sent message 7: {seq} {type} xxx")
    assert len(said) < 250


def test_a_reopening_says_why() -> None:
    found = reason(lived(ConversationReopened(ReopenCause.TIMER), "conversation.reopened.v1"))
    assert found is not None
    assert found["en"] == "its time had come"
