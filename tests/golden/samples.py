"""One sample of every event version that was ever stored; a new version adds, none is changed."""

from domain.access.events import TokenIssued, TokenRevoked
from domain.actors import ActorKind, Role, Scope
from domain.agent.events import (
    AgentDeactivated,
    AgentPasswordSet,
    AgentReactivated,
    AgentRegistered,
    AgentRenamed,
    AgentRoleChanged,
    EmailClaimed,
)
from domain.audit.events import AuditRead
from domain.contact.events import (
    ContactConversationStarted,
    ContactCreated,
    ContactIdentityVerified,
    ContactUpdated,
    SubjectErased,
)
from domain.conversation import events as c
from domain.events import Event
from domain.idempotency.events import RequestCompleted
from domain.message.events import Author, MessageEdited, MessageRecalled, MessageSent

SAMPLES: tuple[Event, ...] = (
    c.ConversationOpened("contact-1", "web", True),
    c.MessageAccepted(7, "message-1", ActorKind.VISITOR, False),
    c.ConversationAssigned("agent-1"),
    c.ConversationUnassigned("agent-1"),
    c.ConversationResolved(),
    c.ConversationReopened(c.ReopenCause.TIMER),
    c.ConversationSnoozed(1_700_000_000_000_000),
    c.ConversationPrioritised(c.Priority.HIGH),
    c.ConversationLabelled(("退款", "vip"), ("new",)),
    c.ReadCursorMoved(ActorKind.AGENT, "agent-1", 7),
    c.DeliveryCursorMoved(ActorKind.VISITOR, "contact-1", 7),
    c.LegalHoldPlaced("court order 7"),
    c.LegalHoldLifted(),
    c.ConversationContactErased(),
    MessageSent(
        "conversation-1",
        7,
        Author(ActorKind.VISITOR, "contact-1", "李雷"),
        "包裹在哪里？ Where is my parcel? 📦",
        False,
        "ref-1",
    ),
    MessageEdited("conversation-1", 7, "改过了"),
    MessageRecalled("conversation-1", 7),
    ContactCreated("user-1", "李雷", "lilei@example.cn"),
    ContactUpdated("李雷", None),
    ContactIdentityVerified(),
    ContactConversationStarted("conversation-1", True),
    SubjectErased("asked for it", "agent:agent-1", "0123456789abcdef0123456789abcdef"),
    AgentRegistered("mei@example.cn", "梅", Role.ADMIN),
    AgentPasswordSet("$argon2id$...", True),
    AgentRoleChanged(Role.AUDITOR),
    AgentRenamed("韩梅梅"),
    AgentDeactivated(),
    AgentReactivated(),
    EmailClaimed("agent-1"),
    TokenIssued(ActorKind.API_KEY, "key-1", "erp", None, (Scope.EVENTS_READ,), None),
    TokenRevoked(),
    RequestCompleted("f" * 64, {"message_id": "message-1", "seq": 7}),
    AuditRead("conversations/history", "conversation-1", {"as_of": "42"}),
)

OLD_SAMPLES: dict[str, Event] = {
    "token.issued.v1": TokenIssued(
        ActorKind.API_KEY, "key-1", "erp", None, (Scope.EVENTS_READ,), None
    ),
}
"""Stored name of a version that is no longer written -> what its golden file reads as today."""
