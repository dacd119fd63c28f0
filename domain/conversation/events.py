"""Events of a conversation, as stored. Times are microseconds since 1970 UTC."""

from enum import StrEnum

from domain.actors import ActorKind
from domain.events import Event


class Priority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class ReopenCause(StrEnum):
    AGENT = "agent"
    TIMER = "timer"
    MESSAGE = "message"
    """A visitor wrote to a snoozed conversation."""


class ConversationOpened(Event, frozen=True, tag="conversation.opened.v1"):
    contact_id: str
    channel: str
    identity_verified: bool
    """The contact's identity was proved (signed identifier or an own earlier session)."""


class MessageAccepted(Event, frozen=True, tag="conversation.message_accepted.v1"):
    seq: int
    message_id: str
    author_kind: ActorKind
    private: bool


class ConversationAssigned(Event, frozen=True, tag="conversation.assigned.v1"):
    assignee_id: str


class ConversationUnassigned(Event, frozen=True, tag="conversation.unassigned.v1"):
    previous_assignee_id: str


class ConversationResolved(Event, frozen=True, tag="conversation.resolved.v1"):
    pass


class ConversationReopened(Event, frozen=True, tag="conversation.reopened.v1"):
    cause: ReopenCause


class ConversationSnoozed(Event, frozen=True, tag="conversation.snoozed.v1"):
    until_us: int | None
    """Wakes then; None: until somebody reopens it or the visitor writes."""


class ConversationPrioritised(Event, frozen=True, tag="conversation.prioritised.v1"):
    priority: Priority | None


class ConversationLabelled(Event, frozen=True, tag="conversation.labelled.v1"):
    added: tuple[str, ...]
    removed: tuple[str, ...]


class ReadCursorMoved(Event, frozen=True, tag="conversation.read_cursor_moved.v1"):
    reader_kind: ActorKind
    reader_id: str
    seq: int


class DeliveryCursorMoved(Event, frozen=True, tag="conversation.delivery_cursor_moved.v1"):
    reader_kind: ActorKind
    reader_id: str
    seq: int


class LegalHoldPlaced(Event, frozen=True, tag="conversation.legal_hold_placed.v1"):
    """The contact can't be erased before the hold is lifted."""

    reason: str


class LegalHoldLifted(Event, frozen=True, tag="conversation.legal_hold_lifted.v1"):
    pass


class ConversationContactErased(Event, frozen=True, tag="conversation.contact_erased.v1"):
    """Written with the contact's `contact.erased`; the conversation takes no more messages."""


ConversationEvent = (
    ConversationOpened
    | MessageAccepted
    | ConversationAssigned
    | ConversationUnassigned
    | ConversationResolved
    | ConversationReopened
    | ConversationSnoozed
    | ConversationPrioritised
    | ConversationLabelled
    | ReadCursorMoved
    | DeliveryCursorMoved
    | LegalHoldPlaced
    | LegalHoldLifted
    | ConversationContactErased
)
