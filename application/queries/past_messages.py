"""The messages of a conversation as they were, folded from the log; no view between."""

from collections import defaultdict
from typing import NamedTuple

from application.codec import Envelope
from application.ports.views import MessageRow
from application.queries.history import message_row
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain.conversation import conversation as conversations
from domain.conversation.events import MessageAccepted
from domain.errors import ConversationNotFound
from domain.message import message as messages


class PastMessages(NamedTuple):
    """Part of the messages as they were."""

    rows: list[MessageRow]
    last_seq: int
    """Of the page; go on after it."""
    more: bool


async def messages_as_of(
    streams: StreamReader,
    opener: Opener,
    conversation_id: str,
    position: int,
    *,
    after_seq: int = 0,
    limit: int,
) -> PastMessages:
    """The first `limit` messages after `after_seq`, as they were at a position.

    Raises:
        ConversationNotFound: it did not exist then.
    """
    exists = False
    ids: dict[str, int] = {}
    async for recorded in streams.events(
        [conversations.DECIDER.stream(conversation_id)], up_to=position
    ):
        exists = True
        event = opener.open_envelope(recorded).event
        if isinstance(event, MessageAccepted) and event.seq > after_seq:
            ids[event.message_id] = event.seq
            if len(ids) > limit:
                break
    if not exists:
        raise ConversationNotFound(conversation_id)
    more = len(ids) > limit
    wanted = list(ids)[:limit]
    found: dict[str, list[Envelope]] = defaultdict(list)
    async for recorded in streams.events([messages.DECIDER.stream(i) for i in wanted], position):
        found[recorded.stream].append(opener.open_envelope(recorded))
    rows = [message_row(id, found[messages.DECIDER.stream(id)]) for id in wanted]
    # The batch is atomic, but a position may fall between its two streams.
    last = ids[wanted[-1]] if wanted else after_seq
    return PastMessages([row for row in rows if row is not None], last, more)
