"""Where a message's event belongs, and telling subscribers of rows that changed: an edit, a recall,
an erased contact.
"""

import asyncio
from typing import Final, Protocol

import msgspec

from application.codec import UndecodableEvent
from application.ports.event_store import RecordedEvent
from application.ports.views import MessageRow, Views
from domain.errors import Unavailable
from interfaces import shapes
from interfaces.gateway import frames
from interfaces.gateway.subscription import Subscription

VIEWS_WAIT_S: Final = 5.0
_RETRY_S: Final = 0.25
_PAGE: Final = 200


class _Place(msgspec.Struct, gc=False):
    """The one field of a message's event that says for whom it is; stored in clear."""

    conversation_id: str


_place: Final = msgspec.json.Decoder(_Place).decode


class Hub(Protocol):
    """What is needed of the hub."""

    views: Views

    def subscriptions(self, conversation_id: str) -> list[Subscription]: ...


def conversation_of(recorded: RecordedEvent) -> str:
    """The conversation of a message's event, without decoding or opening the rest.

    Raises:
        UndecodableEvent: it names none.
    """
    try:
        return _place(recorded.payload).conversation_id
    except msgspec.MsgspecError as error:
        raise UndecodableEvent(f"{recorded.type}: {error}") from error


async def tell_updates(
    hub: Hub, conversation_id: str, after_seq: int, count: int | None, position: int
) -> None:
    """The rows as they are now, as soon as the views hold a position.

    Args:
        after_seq: The first row is the next one.
        count: How many; None: all of the conversation.
    """
    while True:
        limit = _PAGE if count is None else count
        rows = await _rows(hub, conversation_id, after_seq, limit, position)
        for row in rows:
            frame = frames.encode({"type": "message_updated", **shapes.message(row)})
            for subscription in hub.subscriptions(conversation_id):
                if not row.private or subscription.staff:
                    subscription.other(frame)
        if count is not None or len(rows) < limit:
            return
        after_seq = rows[-1].seq


async def _rows(
    hub: Hub, conversation_id: str, after_seq: int, limit: int, position: int
) -> list[MessageRow]:
    while True:
        try:
            await hub.views.wait_for(position, VIEWS_WAIT_S)
            return await hub.views.messages(
                conversation_id, after_seq=after_seq, limit=limit, include_private=True
            )
        except Unavailable:
            if not hub.subscriptions(conversation_id):
                return []  # whoever subscribes later is shown the rows by the replay
            await asyncio.sleep(_RETRY_S)
