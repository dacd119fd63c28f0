"""Conversations as they were: folded from the log up to a position or a time, no view between."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from application.codec import Envelope
from application.ports.event_store import RecordedEvent
from application.ports.views import ContactSummary, ConversationRow, MessageRow
from application.sealing import IN_CLEAR, Opener
from domain.actors import ActorKind
from domain.contact import contact as contacts
from domain.conversation import conversation as conversations
from domain.conversation.conversation import Conversation
from domain.conversation.events import (
    DeliveryCursorMoved,
    LegalHoldPlaced,
    MessageAccepted,
    ReadCursorMoved,
)
from domain.errors import ConversationNotFound
from domain.events import Decider
from domain.message import message as messages
from domain.message.events import MessageEdited, MessageRecalled, MessageSent

S = TypeVar("S")


class Past(Protocol):
    """As much of `EventStore` as looking back needs."""

    def read_stream(
        self,
        stream: str,
        after_version: int = -1,
        limit: int | None = None,
        up_to_position: int | None = None,
    ) -> list[RecordedEvent]: ...


def conversation_as_of(
    store: Past,
    conversation_id: str,
    position: int | None,
    time_us: int | None,
    opener: Opener = IN_CLEAR,
) -> ConversationRow:
    """The row that the views would have shown then.

    Raises:
        ConversationNotFound: it did not exist then.
    """
    stream = conversations.DECIDER.stream(conversation_id)
    events = list(_envelopes(opener, store, stream, position, time_us))
    if not events:
        raise ConversationNotFound(conversation_id)
    state = _fold(conversations.DECIDER, conversation_id, events)
    assert state.contact_id is not None
    contact_stream = contacts.DECIDER.stream(state.contact_id)
    contact_events = _envelopes(opener, store, contact_stream, position, time_us)
    contact = _fold(contacts.DECIDER, state.contact_id, contact_events)
    changes = [e for e in events if not isinstance(e.event, ReadCursorMoved | DeliveryCursorMoved)]
    last, last_public = (
        _message(opener, store, id, position, time_us) if id else None
        for id in (state.last_message_id, state.last_public_message_id)
    )
    return ConversationRow(
        id=conversation_id,
        status=state.status,
        assignee_id=state.assignee_id,
        contact=ContactSummary(
            contact.id, contact.name, contact.email, contact.identifier, contact.verified
        ),
        last_seq=state.last_seq,
        last_message=last,
        last_public_message=last_public,
        created_at_us=events[0].recorded_us,
        updated_at_us=changes[-1].recorded_us,
        priority=state.priority,
        labels=state.labels,
        snoozed_until_us=state.snoozed_until_us,
        identity_verified=state.identity_verified,
        unread_count=_unread(state, events),
        agent_read_seq=_furthest(state, ActorKind.AGENT),
        visitor_read_seq=_furthest(state, ActorKind.VISITOR),
        visitor_delivered_seq=max(
            (s for r, s in state.delivered.items() if r.startswith("visitor:")), default=0
        ),
        legal_hold=state.legal_hold,
        legal_hold_at_us=_held_since(state, events),
    )


def _envelopes(
    opener: Opener,
    store: Past,
    stream: str,
    position: int | None,
    time_us: int | None,
) -> Iterable[Envelope]:
    for recorded in store.read_stream(stream, up_to_position=position):
        if time_us is not None and recorded.recorded_us > time_us:
            return
        yield opener.open_envelope(recorded)


def _fold(decider: Decider[S], id: str, events: Iterable[Envelope]) -> S:
    state = decider.initial(id)
    for envelope in events:
        state = decider.evolve(state, envelope.event)
    return state


def _message(
    opener: Opener,
    store: Past,
    message_id: str,
    position: int | None,
    time_us: int | None,
) -> MessageRow | None:
    stream = messages.DECIDER.stream(message_id)
    return message_row(message_id, list(_envelopes(opener, store, stream, position, time_us)))


def message_row(message_id: str, events: Sequence[Envelope]) -> MessageRow | None:
    """The row of a message after some of its events; None: it was not sent yet."""
    sent: Envelope | None = None
    edited_us = recalled_us = None
    for envelope in events:
        match envelope.event:
            case MessageSent():
                sent = envelope
            case MessageEdited():
                edited_us = envelope.recorded_us
            case MessageRecalled():
                recalled_us = envelope.recorded_us
    if sent is None or not isinstance(sent.event, MessageSent):
        # The batch is atomic, but an `as_of` position may fall between its two streams.
        return None
    return MessageRow(
        message_id=message_id,
        conversation_id=sent.event.conversation_id,
        seq=sent.event.seq,
        author=sent.event.author,
        content=_fold(messages.DECIDER, message_id, events).content,
        private=sent.event.private,
        created_at_us=sent.recorded_us,
        position=sent.position,
        edited_at_us=edited_us,
        recalled_at_us=recalled_us,
    )


def _furthest(state: Conversation, kind: ActorKind) -> int:
    return max((s for r, s in state.read.items() if r.startswith(f"{kind.value}:")), default=0)


def _unread(state: Conversation, events: Iterable[Envelope]) -> int:
    read = _furthest(state, ActorKind.AGENT)
    return sum(
        isinstance(e.event, MessageAccepted)
        and e.event.author_kind is ActorKind.VISITOR
        and e.event.seq > read
        for e in events
    )


def _held_since(state: Conversation, events: Iterable[Envelope]) -> int | None:
    if state.legal_hold is None:
        return None
    return max(e.recorded_us for e in events if isinstance(e.event, LegalHoldPlaced))
