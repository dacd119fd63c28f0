"""Everything that the log holds about a contact, for the person itself.

One pass over the whole log: there is no index of what concerns whom, and a person asks rarely.
Private notes about the person are part of it.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from application import codec
from application.ports.event_store import EventFeed, RecordedEvent
from application.queries.feed import FeedCursor
from application.sealing import Opener
from domain.contact import contact as contacts
from domain.contact.contact import Contact
from domain.conversation import conversation as conversations
from domain.conversation.conversation import Conversation
from domain.errors import ContactNotFound
from domain.message import message as messages
from domain.message.message import Message

Progress = Callable[[int, int], None]
"""Called with (positions read, positions in all)."""

_CATEGORIES: Final = (
    "contact",
    "conversation",
    "message",
    "token",
    "idempotency",
    "refund",
    "saga",
)
_EVERY: Final = 10_000


class HeldEvent(msgspec.Struct, frozen=True):
    """One event about the person, its personal fields opened."""

    position: int
    recorded_us: int
    stream: str
    version: int
    type: str
    actor: str
    data: dict[str, Any]
    erased: bool


class HeldMessage(msgspec.Struct, frozen=True):
    """A message as it stands; earlier contents are among the events."""

    seq: int
    message: Message
    sent_us: int


class HeldConversation(msgspec.Struct, frozen=True):
    """A conversation as it stands, with its cursors."""

    conversation: Conversation
    messages: list[HeldMessage]


class HeldData(msgspec.Struct, frozen=True):
    """All that is held about a person."""

    contact: Contact
    conversations: list[HeldConversation]
    sessions: list[str]
    """Ids of the person's sessions: SHA-256 of their tokens."""
    events: list[HeldEvent]
    position: int
    """The log was read up to here."""


class _Clear(msgspec.Struct, gc=False):
    """Fields that are never sealed, and say whom an event concerns."""

    contact_id: str | None = None
    conversation_id: str | None = None
    subject_id: str | None = None


_clear: Final = msgspec.json.Decoder(_Clear).decode


class _Search:
    """Finds a contact's events; each is recognised by what came before it."""

    def __init__(self, contact_id: str) -> None:
        self._contact_id = contact_id
        self._streams = {contacts.DECIDER.stream(contact_id)}
        self._conversations: set[str] = set()
        self._key_mark: bytes | None = None
        self.sessions: list[str] = []

    def concerns(self, recorded: RecordedEvent) -> bool:
        """Whether the event is about the contact."""
        if not self._concerns(recorded):
            return False
        key_id = codec.decode_metadata(recorded.metadata).key_id
        if key_id is not None:
            self._key_mark = f'"keyId":"{key_id}"'.encode()
        return True

    def _concerns(self, recorded: RecordedEvent) -> bool:
        category, _, id = recorded.stream.partition("-")
        if recorded.stream in self._streams:
            return True
        if category == "message":
            return _clear(recorded.payload).conversation_id in self._conversations
        if recorded.type.startswith("conversation.opened."):
            mine = _clear(recorded.payload).contact_id == self._contact_id
            if mine:
                self._conversations.add(id)
        elif recorded.type.startswith("refund.requested."):
            mine = _clear(recorded.payload).contact_id == self._contact_id
        elif recorded.type.startswith("saga.started."):
            mine = _clear(recorded.payload).conversation_id in self._conversations
        elif recorded.type.startswith("token.issued."):
            mine = _clear(recorded.payload).subject_id == self._contact_id
            if mine:
                self.sessions.append(id)
        else:
            # Requests name nobody; they are sealed with the person's key.
            mark = self._key_mark
            return category == "idempotency" and mark is not None and mark in recorded.metadata
        if mine:
            self._streams.add(recorded.stream)
        return mine


def held_data(feed: EventFeed, opener: Opener, contact_id: str, progress: Progress) -> HeldData:
    """Everything about a contact, up to the durable position.

    Raises:
        ContactNotFound: there is no such contact.
        SubjectKeyMissing, UndecodableEvent: something of it can't be read.
    """
    search, end = _Search(contact_id), feed.durable_position()
    events: list[HeldEvent] = []
    states: dict[str, Any] = {}
    sent: dict[str, int] = {}
    cursor = FeedCursor(feed, 0, categories=_CATEGORIES)
    for count, recorded in enumerate(cursor.to_end()):
        if count % _EVERY == 0:
            progress(recorded.position, end)
        if not search.concerns(recorded):
            continue
        events.append(_held(recorded, opener))
        category, _, id = recorded.stream.partition("-")
        decider = _DECIDERS.get(category)
        if decider is not None:
            state = states.get(recorded.stream) or decider.initial(id)
            states[recorded.stream] = decider.evolve(state, opener.decode(recorded))
            sent.setdefault(recorded.stream, recorded.recorded_us)
    contact = states.get(contacts.DECIDER.stream(contact_id))
    if contact is None:
        raise ContactNotFound(contact_id)
    said: dict[str, list[HeldMessage]] = {}
    for stream, state in states.items():
        if isinstance(state, Message) and state.conversation_id is not None:
            one = HeldMessage(state.seq, state, sent[stream])
            said.setdefault(state.conversation_id, []).append(one)
    held = [
        HeldConversation(state, sorted(said.get(state.id, ()), key=lambda one: one.seq))
        for state in states.values()
        if isinstance(state, Conversation)
    ]
    return HeldData(contact, held, search.sessions, events, end)


_DECIDERS: Final[dict[str, Any]] = {
    decider.category: decider
    for decider in (contacts.DECIDER, conversations.DECIDER, messages.DECIDER)
}


def _held(recorded: RecordedEvent, opener: Opener) -> HeldEvent:
    metadata = codec.decode_metadata(recorded.metadata)
    data, erased = opener.fields(recorded)
    data.pop("type", None)
    return HeldEvent(
        recorded.position,
        recorded.recorded_us,
        recorded.stream,
        recorded.version,
        recorded.type,
        f"{metadata.actor_kind.value}:{metadata.actor_id}",
        data,
        erased,
    )
