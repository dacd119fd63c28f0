"""Legal holds that stand, from the log."""

from typing import Final

import msgspec

from application import codec
from application.ports.event_store import EventFeed
from application.queries.feed import FeedCursor
from domain.conversation.events import LegalHoldLifted, LegalHoldPlaced

_TYPES: Final = ("conversation.legal_hold_*",)


class Hold(msgspec.Struct, frozen=True):
    """A conversation that is kept as evidence."""

    conversation_id: str
    reason: str
    placed_us: int
    """Microseconds since 1970, UTC."""
    placed_by: str
    """Kind and id of who placed it."""


def legal_holds(feed: EventFeed) -> list[Hold]:
    """Those that are not lifted, the oldest first. Reads only where the log has such events, by
    the maps of its sealed segments.

    Raises:
        CorruptLog: the log is damaged.
    """
    found: dict[str, Hold] = {}
    for recorded in FeedCursor(feed, types=_TYPES).to_end():
        conversation = recorded.stream.partition("-")[2]
        match codec.decode(recorded.type, recorded.payload):
            case LegalHoldPlaced(reason=reason):
                actor = codec.decode_metadata(recorded.metadata)
                who = f"{actor.actor_kind.value}:{actor.actor_id}"
                found[conversation] = Hold(conversation, reason, recorded.recorded_us, who)
            case LegalHoldLifted():
                found.pop(conversation, None)
    return list(found.values())
