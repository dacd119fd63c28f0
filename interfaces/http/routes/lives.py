"""What auditors ask: the life of a conversation, and where a message has been."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from application.ports.views import Projection
from application.queries.core import Principal
from application.queries.life import life
from application.queries.refund_life import streams_of_conversation
from application.queries.streams import CoreStreams
from application.queries.trace import sent_event, trace
from domain.errors import InvalidInput, Unavailable
from interfaces import audit_shapes
from interfaces.http.audit_models import Life, Trace
from interfaces.http.authentication import EXAMINERS, READERS, Access, allow
from interfaces.http.context import min_position
from interfaces.http.dependencies import Deps
from interfaces.http.models import page
from interfaces.http.moments import position_of
from interfaces.http.routes.events import cloud_event

router = APIRouter(tags=["audit"])
Examiner = Annotated[Principal, Depends(allow(Access(EXAMINERS, recorded=True)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS)))]


@router.get(
    "/conversations/{conversation_id}/history",
    response_model=Life,
    dependencies=[Depends(min_position)],
)
async def history(
    conversation_id: str,
    principal: Examiner,
    deps: Deps,
    as_of: Annotated[
        str | None, Query(description="Only until this position, or RFC 3339 time")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The life of a conversation: its own events, its messages', its contact's, and those of its
    refunds with their orders and sagas, in order.

    For auditors and administrators, whose reading of it is recorded.
    """
    up_to = None if as_of is None else await position_of(deps.feed, as_of)
    found = await life(
        CoreStreams(deps.core),
        deps.opener,
        conversation_id,
        after=0 if cursor is None else _position(cursor),
        limit=limit,
        up_to=up_to,
        also=await streams_of_conversation(deps.views, conversation_id),
    )
    shown = partial(cloud_event, opener=deps.opener)
    data = [audit_shapes.life_event(step, shown) for step in found.events]
    return page(data, str(data[-1]["position"]) if found.more else None)


@router.get("/messages/{message_id}/trace", response_model=Trace)
async def message_trace(message_id: str, principal: Reader, deps: Deps) -> dict[str, Any]:
    """Where a message has been, station by station, and why a time is missing."""
    streams = CoreStreams(deps.core)
    sent, _ = await sent_event(streams, deps.opener, message_id)
    views: Projection | str
    try:
        views = await deps.views.projection_of(sent.position)
    except Unavailable as error:
        views = error.detail
    return audit_shapes.message_trace(await trace(streams, deps.opener, message_id, views))


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise InvalidInput("cursor is not one that this API gave; leave it out.", "cursor")
    return int(cursor)
