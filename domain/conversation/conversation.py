"""Conversation: state, fold and decisions.

The sequence 1..n of a conversation's messages is decided here and nowhere else. Private notes take
a number too; visitors are not sent them.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from domain import errors, text
from domain.actors import ActorKind
from domain.conversation.events import (
    ConversationAssigned,
    ConversationContactErased,
    ConversationEvent,
    ConversationLabelled,
    ConversationOpened,
    ConversationPrioritised,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationUnassigned,
    DeliveryCursorMoved,
    LegalHoldLifted,
    LegalHoldPlaced,
    MessageAccepted,
    Priority,
    ReadCursorMoved,
    ReopenCause,
)
from domain.events import Decider

_replace = msgspec.structs.replace


class Status(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    SNOOZED = "snoozed"


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """State of one conversation after some of its events."""

    id: str
    contact_id: str | None = None
    """None: not opened, the conversation does not exist."""
    channel: str = ""
    identity_verified: bool = False
    status: Status = Status.OPEN
    snoozed_until_us: int | None = None
    assignee_id: str | None = None
    priority: Priority | None = None
    labels: tuple[str, ...] = ()
    last_seq: int = 0
    last_message_id: str | None = None
    last_public_message_id: str | None = None
    read: Mapping[str, int] = MappingProxyType({})
    """Reader (`kind:id`) -> the highest seq that it has read."""
    delivered: Mapping[str, int] = MappingProxyType({})
    legal_hold: str | None = None
    """Why its contact must not be erased; None: it may be."""
    contact_erased: bool = False


def evolve(state: Conversation, event: ConversationEvent) -> Conversation:
    """State after one more event."""
    match event:
        case MessageAccepted(seq=seq, message_id=message_id, private=private):
            # On the path of every message: a struct copy, no mapping is touched.
            return _replace(
                state,
                last_seq=seq,
                last_message_id=message_id,
                last_public_message_id=state.last_public_message_id if private else message_id,
            )
        case ConversationOpened():
            return _replace(
                state,
                contact_id=event.contact_id,
                channel=event.channel,
                identity_verified=event.identity_verified,
            )
        case ConversationAssigned(assignee_id=assignee_id):
            return _replace(state, assignee_id=assignee_id)
        case ConversationUnassigned():
            return _replace(state, assignee_id=None)
        case ConversationResolved():
            return _replace(state, status=Status.RESOLVED, snoozed_until_us=None)
        case ConversationReopened():
            return _replace(state, status=Status.OPEN, snoozed_until_us=None)
        case ConversationSnoozed(until_us=until_us):
            return _replace(state, status=Status.SNOOZED, snoozed_until_us=until_us)
        case ConversationPrioritised(priority=priority):
            return _replace(state, priority=priority)
        case ConversationLabelled(added=added, removed=removed):
            kept = [label for label in state.labels if label not in removed]
            return _replace(state, labels=(*kept, *added))
        case ReadCursorMoved(seq=seq):
            reader = _reader(event.reader_kind, event.reader_id)
            return _replace(state, read=MappingProxyType({**state.read, reader: seq}))
        case DeliveryCursorMoved(seq=seq):
            reader = _reader(event.reader_kind, event.reader_id)
            return _replace(state, delivered=MappingProxyType({**state.delivered, reader: seq}))
        case LegalHoldPlaced(reason=reason):
            return _replace(state, legal_hold=reason)
        case LegalHoldLifted():
            return _replace(state, legal_hold=None)
        case ConversationContactErased():
            return _replace(state, contact_erased=True)


DECIDER: Decider[Conversation] = Decider("conversation", Conversation, evolve)


def require_open_stream(state: Conversation) -> None:
    """The conversation exists.

    Raises:
        ConversationNotFound: it was never opened.
    """
    if state.contact_id is None:
        raise errors.ConversationNotFound(state.id)


def open_conversation(
    state: Conversation, contact_id: str, channel: str, *, identity_verified: bool
) -> tuple[ConversationEvent, ...]:
    """Open it; a repeat for the same contact says nothing new."""
    if state.contact_id == contact_id:
        return ()
    if state.contact_id is not None:
        raise errors.Conflict("The conversation belongs to another contact.")
    return (ConversationOpened(contact_id, channel, identity_verified),)


def accept_message(
    state: Conversation, message_id: str, author_kind: ActorKind, *, private: bool
) -> tuple[ConversationEvent, ...]:
    """Give a message its place. A visitor's message wakes a snoozed conversation.

    Raises:
        ConversationNotFound, ConversationResolved, ContactErased: it takes no message.
    """
    require_open_stream(state)
    require_contact_kept(state)
    if state.status is Status.RESOLVED:
        raise errors.ConversationResolved
    accepted = MessageAccepted(state.last_seq + 1, message_id, author_kind, private)
    if state.status is Status.SNOOZED and author_kind is ActorKind.VISITOR:
        return (ConversationReopened(ReopenCause.MESSAGE), accepted)
    return (accepted,)


def assign(state: Conversation, assignee_id: str | None) -> tuple[ConversationEvent, ...]:
    """Give the conversation to an agent, or to nobody."""
    require_open_stream(state)
    if assignee_id == state.assignee_id:
        return ()
    if assignee_id is not None:
        return (ConversationAssigned(assignee_id),)
    assert state.assignee_id is not None
    return (ConversationUnassigned(state.assignee_id),)


def resolve(state: Conversation) -> tuple[ConversationEvent, ...]:
    """Close the matter; until it is reopened no message is accepted."""
    require_open_stream(state)
    return () if state.status is Status.RESOLVED else (ConversationResolved(),)


def reopen(state: Conversation, cause: ReopenCause) -> tuple[ConversationEvent, ...]:
    """Back to work."""
    require_open_stream(state)
    return () if state.status is Status.OPEN else (ConversationReopened(cause),)


def snooze(state: Conversation, until_us: int | None, now_us: int) -> tuple[ConversationEvent, ...]:
    """Put the conversation aside until a time, or until the visitor writes.

    Raises:
        ConversationResolved: a resolved conversation needs no reminder; reopen it first.
        InvalidInput: the time is not in the future.
    """
    require_open_stream(state)
    if state.status is Status.RESOLVED:
        raise errors.ConversationResolved
    if until_us is not None and until_us <= now_us:
        raise errors.InvalidInput("snoozed_until must lie in the future.", "snoozed_until")
    if state.status is Status.SNOOZED and state.snoozed_until_us == until_us:
        return ()
    return (ConversationSnoozed(until_us),)


def wake(state: Conversation, now_us: int) -> tuple[ConversationEvent, ...]:
    """Reopen a snoozed conversation whose time has come; a late or second timer does nothing."""
    due = state.snoozed_until_us
    if state.status is not Status.SNOOZED or due is None or due > now_us:
        return ()
    return (ConversationReopened(ReopenCause.TIMER),)


def prioritise(state: Conversation, priority: Priority | None) -> tuple[ConversationEvent, ...]:
    """Say how urgent it is; None: nothing special."""
    require_open_stream(state)
    return () if state.priority == priority else (ConversationPrioritised(priority),)


def label(state: Conversation, labels: Iterable[str]) -> tuple[ConversationEvent, ...]:
    """Replace the set of labels.

    Raises:
        InvalidInput: a label is empty or too long, or there are too many.
    """
    require_open_stream(state)
    wanted = list(dict.fromkeys(text.clean_line(x, "labels", text.MAX_LABEL_CHARS) for x in labels))
    if len(wanted) > text.MAX_LABELS:
        raise errors.InvalidInput(f"At most {text.MAX_LABELS} labels are allowed.", "labels")
    added = tuple(x for x in wanted if x not in state.labels)
    removed = tuple(x for x in state.labels if x not in wanted)
    return (ConversationLabelled(added, removed),) if added or removed else ()


def place_legal_hold(state: Conversation, reason: str) -> tuple[ConversationEvent, ...]:
    """Keep it as evidence; another reason replaces the first.

    Raises:
        ConversationNotFound.
        ContactErased: there is nothing left to keep.
        InvalidInput: the reason is empty, too long or holds a control character.
    """
    require_open_stream(state)
    require_contact_kept(state)
    reason = text.clean_line(reason, "reason", text.MAX_REASON_CHARS)
    return () if state.legal_hold == reason else (LegalHoldPlaced(reason),)


def lift_legal_hold(state: Conversation) -> tuple[ConversationEvent, ...]:
    """It need not be kept any more."""
    require_open_stream(state)
    return () if state.legal_hold is None else (LegalHoldLifted(),)


def erase_contact(state: Conversation) -> tuple[ConversationEvent, ...]:
    """Its contact is erased: take no more messages.

    Raises:
        LegalHold: it must be kept.
    """
    if state.legal_hold is not None:
        raise errors.LegalHold(state.id)
    return () if state.contact_erased else (ConversationContactErased(),)


def require_contact_kept(state: Conversation) -> None:
    """What is said in it can be kept.

    Raises:
        ContactErased: the contact's key is destroyed.
    """
    if state.contact_erased:
        raise errors.ContactErased


def move_read_cursor(
    state: Conversation, reader_kind: ActorKind, reader_id: str, seq: int
) -> tuple[ConversationEvent, ...]:
    """Everything up to `seq` was read; a cursor never moves back."""
    require_open_stream(state)
    _check_seq(state, seq)
    if seq <= state.read.get(_reader(reader_kind, reader_id), 0):
        return ()
    return (ReadCursorMoved(reader_kind, reader_id, seq),)


def move_delivery_cursor(
    state: Conversation, reader_kind: ActorKind, reader_id: str, seq: int
) -> tuple[ConversationEvent, ...]:
    """Everything up to `seq` has reached a client; a cursor never moves back."""
    require_open_stream(state)
    _check_seq(state, seq)
    if seq <= state.delivered.get(_reader(reader_kind, reader_id), 0):
        return ()
    return (DeliveryCursorMoved(reader_kind, reader_id, seq),)


def _check_seq(state: Conversation, seq: int) -> None:
    if not 0 <= seq <= state.last_seq:
        raise errors.InvalidInput(f"seq must be between 0 and {state.last_seq}.", "seq")


def _reader(kind: ActorKind, id: str) -> str:
    return f"{kind.value}:{id}"
