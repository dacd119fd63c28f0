"""Who acts: the identity that every command carries and every event records."""

from enum import StrEnum
from typing import Final

import msgspec

from domain.errors import ConversationNotFound, Forbidden


class ActorKind(StrEnum):
    VISITOR = "visitor"
    AGENT = "agent"
    API_KEY = "api_key"
    BOT = "bot"
    SYSTEM = "system"


class Role(StrEnum):
    """What an agent may do. An auditor reads everything and writes nothing."""

    ADMIN = "admin"
    AGENT = "agent"
    AUDITOR = "auditor"


class Scope(StrEnum):
    """What an API key may do; a key without a scope may do nothing."""

    EVENTS_READ = "events:read"
    AUDIT_READ = "audit:read"
    MESSAGES_WRITE = "messages:write"
    CONTACTS_ERASE = "contacts:erase"
    ORDERS_WRITE = "orders:write"
    REFUNDS_WRITE = "refunds:write"


class Actor(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An authenticated identity with what it may do."""

    kind: ActorKind
    id: str
    name: str = ""
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    conversation_id: str | None = None
    """The one conversation that a visitor's session reaches."""

    @property
    def writes_as_staff(self) -> bool:
        """Agents and administrators, and the system itself; never an auditor."""
        if self.kind is ActorKind.AGENT:
            return self.role in (Role.ADMIN, Role.AGENT)
        return self.kind in (ActorKind.SYSTEM, ActorKind.BOT)


SYSTEM: Final = Actor(ActorKind.SYSTEM, "system", "kefu")


def require_staff(actor: Actor) -> None:
    """Agents, administrators and the system may go on.

    Raises:
        Forbidden: for everybody else.
    """
    if not actor.writes_as_staff:
        raise Forbidden


def require_admin(actor: Actor) -> None:
    """Administrators and the system may go on.

    Raises:
        Forbidden: for everybody else.
    """
    if actor.role is not Role.ADMIN and actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only an administrator may do this.")


def require_scope(actor: Actor, scope: Scope) -> None:
    """An API key with the scope may go on.

    Raises:
        Forbidden: the key lacks the scope.
    """
    if scope not in actor.scopes:
        raise Forbidden(f"The API key lacks the scope {scope.value!r}.")


def require_conversation_access(actor: Actor, conversation_id: str) -> None:
    """A visitor reaches its own conversation only, and does not learn that others exist.

    Raises:
        ConversationNotFound: the conversation is another visitor's.
    """
    if actor.kind is ActorKind.VISITOR and actor.conversation_id != conversation_id:
        raise ConversationNotFound(conversation_id)
