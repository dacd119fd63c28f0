"""Rules of the Conversation aggregate, given/when/then."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import errors
from domain.actors import ActorKind
from domain.conversation import conversation as c
from domain.conversation.events import (
    ConversationAssigned,
    ConversationLabelled,
    ConversationOpened,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationUnassigned,
    MessageAccepted,
    Priority,
    ReadCursorMoved,
    ReopenCause,
)

OPENED = ConversationOpened("contact-1", "web", False)
NOW = 1_000_000


def given_events(*events: object) -> c.Conversation:
    return reduce(c.evolve, events, c.Conversation("conversation-1"))


def accepted(seq: int) -> MessageAccepted:
    return MessageAccepted(seq, f"m{seq}", ActorKind.VISITOR, False)


def test_messages_are_numbered_from_1_without_gaps() -> None:
    state = given_events(OPENED)
    for seq in range(1, 5):
        (event,) = c.accept_message(state, f"m{seq}", ActorKind.VISITOR, private=False)
        assert event == accepted(seq)
        state = c.evolve(state, event)


def test_a_private_note_takes_a_number_and_is_not_the_last_public_message() -> None:
    state = given_events(OPENED, accepted(1))
    (event,) = c.accept_message(state, "note", ActorKind.AGENT, private=True)
    state = c.evolve(state, event)
    assert (state.last_seq, state.last_message_id) == (2, "note")
    assert state.last_public_message_id == "m1"


def test_a_message_to_an_unknown_conversation_is_rejected() -> None:
    with pytest.raises(errors.ConversationNotFound):
        c.accept_message(given_events(), "m", ActorKind.VISITOR, private=False)


def test_a_message_to_a_resolved_conversation_is_rejected() -> None:
    state = given_events(OPENED, ConversationResolved())
    with pytest.raises(errors.ConversationResolved):
        c.accept_message(state, "m", ActorKind.VISITOR, private=False)


def test_a_visitors_message_wakes_a_snoozed_conversation() -> None:
    state = given_events(OPENED, ConversationSnoozed(None))
    events = c.accept_message(state, "m", ActorKind.VISITOR, private=False)
    assert events[0] == ConversationReopened(ReopenCause.MESSAGE)
    assert isinstance(events[1], MessageAccepted)


def test_an_agents_message_leaves_a_conversation_snoozed() -> None:
    state = given_events(OPENED, ConversationSnoozed(None))
    (event,) = c.accept_message(state, "m", ActorKind.AGENT, private=False)
    assert isinstance(event, MessageAccepted)


def test_assigning_records_the_agent_and_a_repeat_records_nothing() -> None:
    state = given_events(OPENED)
    assert c.assign(state, "a") == (ConversationAssigned("a"),)
    state = given_events(OPENED, ConversationAssigned("a"))
    assert c.assign(state, "a") == ()
    assert c.assign(state, None) == (ConversationUnassigned("a"),)
    assert c.assign(given_events(OPENED), None) == ()


def test_resolve_and_reopen_say_nothing_when_nothing_changes() -> None:
    state = given_events(OPENED)
    assert c.reopen(state, ReopenCause.AGENT) == ()
    assert c.resolve(state) == (ConversationResolved(),)
    resolved = given_events(OPENED, ConversationResolved())
    assert c.resolve(resolved) == ()
    assert c.reopen(resolved, ReopenCause.AGENT) == (ConversationReopened(ReopenCause.AGENT),)


def test_a_snooze_must_end_in_the_future() -> None:
    with pytest.raises(errors.InvalidInput):
        c.snooze(given_events(OPENED), NOW, NOW)
    assert c.snooze(given_events(OPENED), NOW + 1, NOW) == (ConversationSnoozed(NOW + 1),)


def test_a_resolved_conversation_can_not_be_snoozed() -> None:
    with pytest.raises(errors.ConversationResolved):
        c.snooze(given_events(OPENED, ConversationResolved()), None, NOW)


@pytest.mark.parametrize(
    ("events", "wakes"),
    [
        ((OPENED, ConversationSnoozed(NOW)), True),
        ((OPENED, ConversationSnoozed(NOW + 1)), False),
        ((OPENED, ConversationSnoozed(None)), False),
        ((OPENED,), False),
        ((OPENED, ConversationSnoozed(NOW), ConversationResolved()), False),
    ],
)
def test_a_timer_wakes_only_what_is_due(events: tuple[object, ...], wakes: bool) -> None:
    assert bool(c.wake(given_events(*events), NOW)) is wakes


def test_labels_are_replaced_as_a_set_and_recorded_as_a_difference() -> None:
    state = given_events(OPENED, ConversationLabelled(("vip", "refund"), ()))
    (event,) = c.label(state, [" refund ", "物流", "物流"])
    assert event == ConversationLabelled(("物流",), ("vip",))
    assert c.evolve(state, event).labels == ("refund", "物流")
    assert c.label(state, ["refund", "vip"]) == ()


@pytest.mark.parametrize("bad", ["", " ", "x" * 51, "a\nb", "a\x00b"])
def test_a_bad_label_is_rejected(bad: str) -> None:
    with pytest.raises(errors.InvalidInput):
        c.label(given_events(OPENED), [bad])


def test_more_labels_than_the_limit_are_rejected() -> None:
    with pytest.raises(errors.InvalidInput):
        c.label(given_events(OPENED), [str(i) for i in range(51)])


def test_a_priority_is_recorded_once() -> None:
    state = given_events(OPENED)
    (event,) = c.prioritise(state, Priority.HIGH)
    assert c.prioritise(c.evolve(state, event), Priority.HIGH) == ()
    assert c.prioritise(state, None) == ()


def test_a_read_cursor_never_moves_back_and_never_passes_the_last_message() -> None:
    state = given_events(OPENED, accepted(1), accepted(2))
    (event,) = c.move_read_cursor(state, ActorKind.AGENT, "a", 2)
    assert event == ReadCursorMoved(ActorKind.AGENT, "a", 2)
    state = c.evolve(state, event)
    assert c.move_read_cursor(state, ActorKind.AGENT, "a", 1) == ()
    assert c.move_read_cursor(state, ActorKind.AGENT, "b", 1) != ()
    with pytest.raises(errors.InvalidInput):
        c.move_read_cursor(state, ActorKind.AGENT, "a", 3)


def test_opening_again_for_another_contact_is_rejected() -> None:
    state = given_events(OPENED)
    assert c.open_conversation(state, "contact-1", "web", identity_verified=False) == ()
    with pytest.raises(errors.Conflict):
        c.open_conversation(state, "contact-2", "web", identity_verified=False)


DECISIONS = st.sampled_from(
    [
        lambda s: c.accept_message(s, f"m{s.last_seq + 1}", ActorKind.VISITOR, private=False),
        lambda s: c.accept_message(s, f"m{s.last_seq + 1}", ActorKind.AGENT, private=True),
        lambda s: c.assign(s, "a"),
        lambda s: c.assign(s, None),
        lambda s: c.resolve(s),
        lambda s: c.reopen(s, ReopenCause.AGENT),
        lambda s: c.snooze(s, NOW + 5, NOW),
        lambda s: c.wake(s, NOW + 5),
        lambda s: c.label(s, ["x"]),
        lambda s: c.label(s, []),
        lambda s: c.prioritise(s, Priority.URGENT),
        lambda s: c.move_read_cursor(s, ActorKind.AGENT, "a", s.last_seq),
        lambda s: c.move_delivery_cursor(s, ActorKind.VISITOR, "v", s.last_seq),
    ]
)


@given(st.lists(DECISIONS, max_size=40))
def test_whatever_happens_the_sequence_is_contiguous(decisions: list) -> None:  # type: ignore[type-arg]
    state = given_events(OPENED)
    seqs = []
    for decide in decisions:
        try:
            events = decide(state)
        except errors.DomainError:
            continue
        for event in events:
            state = c.evolve(state, event)
            if isinstance(event, MessageAccepted):
                seqs.append(event.seq)
    assert seqs == list(range(1, len(seqs) + 1))
    assert state.last_seq == len(seqs)


@given(st.lists(DECISIONS, max_size=15), DECISIONS)
def test_a_repeated_decision_that_sends_nothing_says_nothing_new(decisions: list, last) -> None:  # type: ignore[no-untyped-def,type-arg]
    state = given_events(OPENED)
    for decide in [*decisions, last]:
        try:
            events = decide(state)
        except errors.DomainError:
            return
        state = reduce(c.evolve, events, state)
    if not any(isinstance(e, MessageAccepted) for e in events):
        try:
            assert last(state) == ()
        except errors.ConversationResolved:
            assert state.status is c.Status.RESOLVED
