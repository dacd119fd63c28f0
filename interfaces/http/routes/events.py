"""The event feed over REST: CloudEvents 1.0, one position as the cursor."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from application import codec
from application.ports.event_store import EventFeed, RecordedEvent
from application.queries.core import Principal
from domain.actors import Scope
from interfaces import shapes
from interfaces.http.authentication import AUDITORS, Access, allow
from interfaces.http.dependencies import Deps

router = APIRouter(prefix="/events", tags=["events"])
Feed = Annotated[Principal, Depends(allow(Access(AUDITORS, scope=Scope.EVENTS_READ)))]

MEDIA_TYPE: Final = "application/cloudevents-batch+json"
TYPE_PREFIX: Final = "org.kefu."
_SLICE: Final = 1_000
_MAX_SCANNED: Final = 20_000
"""Events looked at in one call: a filter that matches little still answers soon."""

_HIDDEN: Final = {"agent.password_set.v1": ("password_hash",)}
"""Fields that no feed shows."""


@router.get(
    "",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "array"}}}}},
)
async def list_events(
    principal: Feed,
    deps: Deps,
    after: Annotated[int, Query(ge=0, le=2**62, description="A position; 0: the beginning")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    types: Annotated[
        str | None,
        Query(description="Stored names, separated by commas; `message.*` for a family"),
    ] = None,
) -> Response:
    """Events after a position, in order.

    `Kefu-Next-Position` is where to go on; it also moves over events that did not match.
    """
    wanted = tuple(t.strip() for t in types.split(",") if t.strip()) if types else ()
    events, following = await asyncio.to_thread(_collect, deps.feed, after, limit, wanted)
    body = msgspec.json.encode([cloud_event(event) for event in events])
    return Response(body, media_type=MEDIA_TYPE, headers={"Kefu-Next-Position": str(following)})


def cloud_event(event: RecordedEvent) -> dict[str, Any]:
    """A CloudEvent (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).

    `source` and `id` together are unique; `sequence` orders the events of one source.
    """
    data = msgspec.json.decode(event.payload)
    for field in _HIDDEN.get(event.type, ()):
        data.pop(field, None)
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
        "data": data,
    }
    if metadata.traceparent is not None:
        found["traceparent"] = metadata.traceparent
    return found


def _collect(
    feed: EventFeed, after: int, limit: int, types: tuple[str, ...]
) -> tuple[list[RecordedEvent], int]:
    found: list[RecordedEvent] = []
    position, scanned = after, 0
    while len(found) < limit and scanned < _MAX_SCANNED:
        events = feed.read(position, _SLICE if types else limit)
        if not events:
            break
        for event in events:
            position = event.position
            scanned += 1
            if not types or _matches(event.type, types):
                found.append(event)
                if len(found) == limit:
                    break
    return found, position


def _matches(type_name: str, types: tuple[str, ...]) -> bool:
    name = type_name.removeprefix(TYPE_PREFIX)
    for wanted in types:
        wanted = wanted.removeprefix(TYPE_PREFIX)
        if name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1])):
            return True
    return False
