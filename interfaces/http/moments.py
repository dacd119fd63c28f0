"""Moments that a request names: a position, or a time."""

import asyncio

from application.ports.event_store import EventFeed
from domain.errors import InvalidInput
from interfaces import shapes


def moment(text: str) -> tuple[int | None, int | None]:
    """A position, or microseconds since 1970; the other one is None.

    Raises:
        InvalidInput: `as_of` is neither.
    """
    if text.isascii() and text.isdigit():
        if len(text) > 18:
            raise InvalidInput("as_of is not a position that this log gave.", "as_of")
        return int(text), None
    return None, parse_time(text, "as_of")


def parse_time(text: str, field: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return shapes.parse_time(text)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{field} must be a time such as 2026-12-01T09:00:00Z.", field) from None


async def position_of(feed: EventFeed, as_of: str) -> int:
    """The position that stood for a moment: recorded times never go back along the log."""
    position, time_us = moment(as_of)
    if position is not None:
        return position
    assert time_us is not None
    return await asyncio.to_thread(feed.position_at, time_us)
