"""The trace of one message: each station, with its time or the reason why there is none.

Unsampled: everything comes from the log, from the cursors in it and from the position of the views.
Where only bounds of a moment are known, they are given and no moment is made up.
"""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from application.ports.event_store import RecordedEvent
from application.ports.views import Projection
from application.queries.life import Names, open_step, stream_of
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain.actors import ActorKind
from domain.conversation import conversation as conversations
from domain.conversation.events import DeliveryCursorMoved, MessageAccepted, ReadCursorMoved
from domain.errors import MessageNotFound
from domain.message import message as messages
from domain.message.events import Author, MessageSent


class Station(StrEnum):
    RECEIVED = "received"
    DECIDED = "decided"
    ON_DISK = "on_disk"
    PROJECTED = "projected"
    PUSHED = "pushed"
    DELIVERED = "delivered"
    READ = "read"
    MIRRORED = "mirrored"


class State(StrEnum):
    DONE = "done"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    FAILED = "failed"
    NOT_CONFIGURED = "not_configured"


class Gap(StrEnum):
    """Why a station has no time, or is not reached."""

    NOT_STORED = "not-stored"
    BEHIND = "views-behind"
    PARKED = "parked"
    VIEWS_DOWN = "views-unavailable"
    NO_BATCH = "batch-not-kept"
    NO_EVIDENCE = "push-not-stored"
    NOBODY_YET = "nobody-yet"
    NOT_CONFIGURED = "not-configured"


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """One station of a message, for one reader where readers differ. Times in us since 1970."""

    station: Station
    state: State
    at_us: int | None = None
    not_before_us: int | None = None
    not_after_us: int | None = None
    position: int | None = None
    """Of the event that shows it; for the views, where they are."""
    gap: Gap | None = None
    detail: str | None = None
    reader: Author | None = None


class MessageTrace(NamedTuple):
    """Where a message has been."""

    message_id: str
    conversation_id: str
    seq: int
    private: bool
    author: Author
    recorded: RecordedEvent
    accepted_position: int | None
    stops: list[Stop]


class _Cursor(NamedTuple):
    position: int
    recorded_us: int


async def trace(
    streams: StreamReader, opener: Opener, message_id: str, views: "Projection | str"
) -> MessageTrace:
    """Follow a message.

    Args:
        views: How far the views are at the message's position; a text: why that is not known.

    Raises:
        MessageNotFound: there is no such message.
    """
    sent, event = await sent_event(streams, opener, message_id)
    accepted: int | None = None
    first: dict[tuple[type, ActorKind, str], _Cursor] = {}
    stream = conversations.DECIDER.stream(event.conversation_id)
    async for recorded in streams.events([stream]):
        moved = open_step(opener, recorded).event
        match moved:
            case MessageAccepted() if moved.message_id == message_id:
                accepted = recorded.position
            case ReadCursorMoved() | DeliveryCursorMoved() if moved.seq >= event.seq:
                key = (type(moved), moved.reader_kind, moved.reader_id)
                # A cursor passes a message once; one that was sent later can't be before it.
                if accepted is not None:
                    first.setdefault(key, _Cursor(recorded.position, recorded.recorded_us))
    names = Names()
    await names.load(streams, opener, [stream_of(kind, id) for _, kind, id in first])
    seen = {
        (cls, Author(kind, id, names.at(stream_of(kind, id), at.position) or "")): at
        for (cls, kind, id), at in first.items()
        if (kind, id) != (event.author.kind, event.author.id)
    }
    stops = [*_core(sent), _projected(sent, views), *_people(sent, seen), _mirrored()]
    return MessageTrace(
        message_id,
        event.conversation_id,
        event.seq,
        event.private,
        event.author,
        sent,
        accepted,
        stops,
    )


async def sent_event(
    streams: StreamReader, opener: Opener, message_id: str
) -> tuple[RecordedEvent, MessageSent]:
    """The event that made the message.

    Raises:
        MessageNotFound: there is none.
    """
    async for recorded in streams.events([messages.DECIDER.stream(message_id)]):
        event = opener.open_envelope(recorded).event
        if isinstance(event, MessageSent):
            return recorded, event
    raise MessageNotFound(message_id)


def _core(sent: RecordedEvent) -> list[Stop]:
    us = sent.recorded_us
    return [
        Stop(station=Station.RECEIVED, state=State.DONE, not_after_us=us, gap=Gap.NOT_STORED),
        Stop(station=Station.DECIDED, state=State.DONE, at_us=us, position=sent.position),
        # It was read from the log, which gives nothing out that is not flushed.
        Stop(
            station=Station.ON_DISK,
            state=State.DONE,
            not_before_us=us,
            position=sent.position,
            gap=Gap.NOT_STORED,
        ),
    ]


def _projected(sent: RecordedEvent, views: Projection | str) -> Stop:
    station, us = Station.PROJECTED, sent.recorded_us
    if isinstance(views, str):
        return Stop(station=station, state=State.UNKNOWN, gap=Gap.VIEWS_DOWN, detail=views)
    if views.position < sent.position:
        return Stop(station=station, state=State.WAITING, position=views.position, gap=Gap.BEHIND)
    if views.parked is not None:
        return Stop(
            station=station,
            state=State.FAILED,
            position=views.position,
            gap=Gap.PARKED,
            detail=views.parked,
        )
    if views.committed_us is None:
        return Stop(
            station=station,
            state=State.DONE,
            not_before_us=us,
            position=views.position,
            gap=Gap.NO_BATCH,
        )
    return Stop(
        station=station, state=State.DONE, at_us=views.committed_us, position=views.position
    )


def _people(sent: RecordedEvent, seen: dict[tuple[type, Author], _Cursor]) -> list[Stop]:
    readers = list(dict.fromkeys(reader for _, reader in seen))
    if not readers:
        return [
            Stop(station=Station.PUSHED, state=State.UNKNOWN, gap=Gap.NO_EVIDENCE),
            Stop(station=Station.DELIVERED, state=State.WAITING, gap=Gap.NOBODY_YET),
            Stop(station=Station.READ, state=State.WAITING, gap=Gap.NOBODY_YET),
        ]
    stops: list[Stop] = []
    for reader in readers:
        delivered = seen.get((DeliveryCursorMoved, reader))
        read = seen.get((ReadCursorMoved, reader))
        evidence = min(filter(None, (delivered, read)))
        stops.append(
            Stop(
                station=Station.PUSHED,
                state=State.DONE,
                not_before_us=sent.recorded_us,
                not_after_us=evidence.recorded_us,
                gap=Gap.NOT_STORED,
                reader=reader,
            )
        )
        for station, cursor in ((Station.DELIVERED, delivered), (Station.READ, read)):
            stops.append(_at_reader(station, reader, cursor, evidence))
    order = list(Station)
    return sorted(stops, key=lambda stop: order.index(stop.station))


def _at_reader(station: Station, reader: Author, cursor: _Cursor | None, evidence: _Cursor) -> Stop:
    if cursor is not None:
        return Stop(
            station=station,
            state=State.DONE,
            at_us=cursor.recorded_us,
            position=cursor.position,
            reader=reader,
        )
    if station is Station.DELIVERED:  # what was read had arrived, though no client said so
        return Stop(
            station=station,
            state=State.DONE,
            not_after_us=evidence.recorded_us,
            gap=Gap.NOT_STORED,
            reader=reader,
        )
    return Stop(station=station, state=State.WAITING, gap=Gap.NOBODY_YET, reader=reader)


def _mirrored() -> Stop:
    return Stop(station=Station.MIRRORED, state=State.NOT_CONFIGURED, gap=Gap.NOT_CONFIGURED)
