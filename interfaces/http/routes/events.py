"""The event feed over REST: CloudEvents 1.0, one position as the cursor."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

from application import codec
from application.ports.event_store import RecordedEvent
from application.queries.core import Principal
from application.sealing import IN_CLEAR, Opener
from domain.actors import Scope
from interfaces import shapes
from interfaces.http.authentication import AUDITORS, Access, allow
from interfaces.http.dependencies import Deps

router = APIRouter(prefix="/events", tags=["events"])
Feed = Annotated[Principal, Depends(allow(Access(AUDITORS, scope=Scope.EVENTS_READ)))]

MEDIA_TYPE: Final = "application/cloudevents-batch+json"
TYPE_PREFIX: Final = "org.kefu."
_HIDDEN: Final = {"agent.password_set": ("password_hash",)}
"""Event, whatever its version -> fields that no feed shows."""


@router.get(
    "",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "array"}}}}},
)
async def list_events(
    principal: Feed,
    deps: Deps,
    after: Annotated[int, Query(ge=0, le=2**62, description="A position; 0: the beginning")] = 0,
    since: Annotated[
        AwareDatetime | None,
        Query(description="Begin with the first event recorded at or after this moment (RFC 3339)"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    types: Annotated[
        str | None,
        Query(description="Stored names, separated by commas; `message.*` for a family"),
    ] = None,
    categories: Annotated[
        str | None,
        Query(description="Kinds of streams, separated by commas: `conversation,message`"),
    ] = None,
) -> Response:
    """Events after a position, in order.

    `Kefu-Next-Position` is where to go on; it also moves over events that did not match. A filter
    that matches little may answer with fewer events than `limit`, or none, before the end.
    """
    if since is not None:
        before = shapes.microseconds(since) - 1
        after = max(after, await asyncio.to_thread(deps.feed.position_at, before))
    events, following = await asyncio.to_thread(
        deps.feed.read_matching, after, limit, _names(types), _names(categories)
    )
    # Away from the event loop: opening 200 sealed events takes some milliseconds.
    body = await asyncio.to_thread(_encoded, events, deps.opener)
    return Response(body, media_type=MEDIA_TYPE, headers={"Kefu-Next-Position": str(following)})


def _encoded(events: Sequence[RecordedEvent], opener: Opener) -> bytes:
    return msgspec.json.encode([cloud_event(event, opener) for event in events])


def cloud_event(event: RecordedEvent, opener: Opener = IN_CLEAR) -> dict[str, Any]:
    """A CloudEvent (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).

    `source` and `id` together are unique; `sequence` orders the events of one source. Data is
    passed on as it is stored, personal fields opened (empty and `erased` when their subject was
    erased), also of an event that a newer kefu wrote; where such an event has
    fields that no feed shows, there is no `data`, because they may have other names by then.
    """
    metadata = codec.decode_metadata(event.metadata)
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event.position),
        "source": f"/kefu/{event.stream}",
        "type": TYPE_PREFIX + event.type,
        "subject": event.stream,
        "time": shapes.time(event.recorded_us),
        "datacontenttype": "application/json",
        "sequence": f"{event.version:020d}",
        "position": str(event.position),
        "actorkind": metadata.actor_kind.value,
        "actorid": metadata.actor_id,
        "correlationid": metadata.correlation_id,
    }
    hidden = _HIDDEN.get(codec.split_name(event.type)[0])
    if hidden is None or codec.knows(event.type):
        data, erased = opener.fields(event)
        if erased:
            found["erased"] = True
        for field in hidden or ():
            data.pop(field, None)
        found["data"] = data
    if metadata.traceparent is not None:
        found["traceparent"] = metadata.traceparent
    return found


def _names(text: str | None) -> list[str]:
    return [
        name.strip().removeprefix(TYPE_PREFIX) for name in (text or "").split(",") if name.strip()
    ]
