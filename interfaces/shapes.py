"""What clients see of rows and events: the JSON shapes of the public contract, in one place."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from application.ports.views import AgentRow, ApiKeyRow, ContactRow, ConversationRow, MessageRow
from domain.actors import ActorKind
from domain.message.events import Author, MessageSent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONTRACT_KINDS: Final = {ActorKind.API_KEY: "system"}
"""The contract knows visitor, agent, bot and system; an integrator speaks for the system."""


def time(us: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def optional_time(us: int | None) -> str | None:
    """RFC 3339, or None."""
    return None if us is None else time(us)


def author(value: Author) -> dict[str, Any]:
    """Who said it."""
    return {
        "kind": _CONTRACT_KINDS.get(value.kind, value.kind.value),
        "id": value.id,
        "name": value.name,
    }


def message(row: MessageRow) -> dict[str, Any]:
    """A message."""
    return {
        "message_id": row.message_id,
        "conversation_id": row.conversation_id,
        "seq": row.seq,
        "author": author(row.author),
        "content": row.content,
        "private": row.private,
        "created_at": time(row.created_at_us),
        "position": row.position,
        "edited_at": optional_time(row.edited_at_us),
        "recalled_at": optional_time(row.recalled_at_us),
    }


def sent_message(
    event: MessageSent, message_id: str, position: int, recorded_us: int
) -> dict[str, Any]:
    """A message straight from its event, equal to what the views will show."""
    return message(
        MessageRow(
            message_id=message_id,
            conversation_id=event.conversation_id,
            seq=event.seq,
            author=event.author,
            content=event.content,
            private=event.private,
            created_at_us=recorded_us,
            position=position,
        )
    )


def conversation(row: ConversationRow) -> dict[str, Any]:
    """A conversation as staff see it."""
    return {
        "id": row.id,
        "status": row.status.value,
        "assignee_id": row.assignee_id,
        "contact": {
            "id": row.contact.id,
            "name": row.contact.name,
            "email": row.contact.email,
            "identifier": row.contact.identifier,
            # Of this conversation: anybody can type another person's identifier (ADR 0004).
            "verified": row.identity_verified,
        },
        "last_seq": row.last_seq,
        "last_message": message(row.last_message) if row.last_message else None,
        "updated_at": time(row.updated_at_us),
        "created_at": time(row.created_at_us),
        "priority": row.priority.value if row.priority else None,
        "labels": list(row.labels),
        "snoozed_until": optional_time(row.snoozed_until_us),
        "unread_count": row.unread_count,
        "agent_read_seq": row.agent_read_seq,
        "visitor_read_seq": row.visitor_read_seq,
        "visitor_delivered_seq": row.visitor_delivered_seq,
        "legal_hold": legal_hold(row),
    }


def legal_hold(row: ConversationRow) -> dict[str, Any] | None:
    """Why a conversation's contact can't be erased."""
    if row.legal_hold is None:
        return None
    return {"reason": row.legal_hold, "placed_at": optional_time(row.legal_hold_at_us)}


def contact(row: ContactRow) -> dict[str, Any]:
    """A contact."""
    return {
        "id": row.id,
        "identifier": row.identifier,
        "name": row.name,
        "email": row.email,
        "verified": row.verified,
        "created_at": time(row.created_at_us),
        "updated_at": time(row.updated_at_us),
        "erased_at": optional_time(row.erased_at_us),
    }


def agent(row: AgentRow) -> dict[str, Any]:
    """An agent."""
    return {
        "id": row.id,
        "email": row.email,
        "name": row.name,
        "role": row.role.value,
        "active": row.active,
        "created_at": time(row.created_at_us),
    }


def api_key(row: ApiKeyRow) -> dict[str, Any]:
    """An API key, without its secret."""
    return {
        "id": row.id,
        "name": row.name,
        "scopes": [scope.value for scope in row.scopes],
        "created_at": time(row.created_at_us),
        "revoked_at": optional_time(row.revoked_at_us),
    }


def parse_time(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time.

    Raises:
        ValueError: it is none, or it has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time has no offset from UTC")
    return microseconds(moment)


def microseconds(moment: datetime) -> int:
    """Since 1970, of a moment with an offset from UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
