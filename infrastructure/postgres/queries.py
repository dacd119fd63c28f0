"""SQL of the read side and how its rows become the port's rows."""

import base64
import binascii
from typing import Any, Final

from application.ports.views import ContactRow, ContactSummary, ConversationRow, MessageRow
from domain.actors import ActorKind
from domain.conversation.conversation import Status
from domain.conversation.events import Priority
from domain.errors import InvalidInput
from domain.message.events import Author

MESSAGE: Final = (
    "m.message_id, m.conversation_id, m.seq, m.author_kind, m.author_id, m.author_name,"
    " m.content, m.private, m.created_us, m.position, m.edited_us, m.recalled_us"
)
_MESSAGE_WIDTH: Final = 12

MESSAGE_PAGES: Final = (
    f"SELECT wanted.number, {MESSAGE.replace('m.', 'p.')} FROM unnest(%(numbers)s::int[],"
    " %(ids)s::text[], %(after)s::int[], %(private)s::bool[])"
    " AS wanted (number, id, after_seq, private) CROSS JOIN LATERAL ("
    f"SELECT {MESSAGE} FROM kefu.messages m WHERE m.conversation_id = wanted.id"
    " AND m.seq > wanted.after_seq AND (wanted.private OR NOT m.private)"
    " ORDER BY m.seq LIMIT %(limit)s) p ORDER BY wanted.number, p.seq"
)

CONVERSATION: Final = (
    "SELECT c.id, c.status, c.assignee_id, c.last_seq, c.created_us, c.updated_us, c.priority,"
    " c.labels, c.snoozed_until_us, c.identity_verified, c.unread_count, c.agent_read_seq,"
    " c.visitor_read_seq, c.visitor_delivered_seq, c.legal_hold, c.legal_hold_us,"
    " c.contact_id, p.name, p.email, p.identifier, p.verified, "
    + MESSAGE
    + ", "
    + MESSAGE.replace("m.", "v.")
    + " FROM kefu.conversations c"
    " LEFT JOIN kefu.contacts p ON p.id = c.contact_id"
    " LEFT JOIN kefu.messages m ON m.conversation_id = c.id AND m.seq = c.last_seq"
    " LEFT JOIN kefu.messages v ON v.conversation_id = c.id AND v.seq = c.last_public_seq"
)
_CONVERSATION_WIDTH: Final = 21

CONTACT: Final = (
    "SELECT id, identifier, name, email, verified, created_us, updated_us, erased_us"
    " FROM kefu.contacts"
)

MATCHING: Final = (
    " c.id IN (SELECT conversation_id FROM kefu.messages WHERE search @@ %(q)s::tsquery"
    " UNION SELECT f.id FROM kefu.conversations f JOIN kefu.contacts o ON o.id = f.contact_id"
    " WHERE o.search @@ %(q)s::tsquery)"
)


def message(row: Any, at: int = 0) -> MessageRow | None:
    """A message from its columns; None: the outer join found none."""
    if row[at] is None:
        return None
    id, conversation, seq, kind, author, name, *rest = row[at : at + _MESSAGE_WIDTH]
    return MessageRow(id, conversation, seq, Author(ActorKind(kind), author, name), *rest)


def conversation(row: Any) -> ConversationRow:
    """A conversation from its columns."""
    return ConversationRow(
        id=row[0],
        status=Status(row[1]),
        assignee_id=row[2],
        last_seq=row[3],
        created_at_us=row[4],
        updated_at_us=row[5],
        priority=Priority(row[6]) if row[6] else None,
        labels=tuple(row[7]),
        snoozed_until_us=row[8],
        identity_verified=row[9],
        unread_count=row[10],
        agent_read_seq=row[11],
        visitor_read_seq=row[12],
        visitor_delivered_seq=row[13],
        legal_hold=row[14],
        legal_hold_at_us=row[15],
        contact=ContactSummary(row[16], row[17], row[18], row[19], bool(row[20])),
        last_message=message(row, _CONVERSATION_WIDTH),
        last_public_message=message(row, _CONVERSATION_WIDTH + _MESSAGE_WIDTH),
    )


def contact(row: Any) -> ContactRow:
    """A contact from its columns."""
    return ContactRow(*row)


def is_text(id: str) -> bool:
    """Postgres takes neither NUL nor lone surrogates; no id of ours has them."""
    return "\x00" not in id and id.isprintable()


def encode_cursor(time_us: int, id: str) -> str:
    """An opaque cursor: where the next page begins."""
    return base64.urlsafe_b64encode(f"{time_us}:{id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """What `encode_cursor` was given.

    Raises:
        InvalidInput: the cursor is none of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        time_us, _, id = base64.urlsafe_b64decode(padded.encode()).decode().partition(":")
        return int(time_us), id
    except (ValueError, binascii.Error, UnicodeError):
        raise InvalidInput(
            "cursor is not one that this API gave; leave it out.", "cursor"
        ) from None
