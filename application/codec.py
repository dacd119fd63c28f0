"""Events to bytes and back: JSON payloads, metadata, upcasting.

The payload is the event as JSON with its stored name in `type`, so that a person can read a raw
segment. Names that are no longer written are read through an upcaster chain.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar, get_args

import msgspec

from application.ports.event_store import NewEvent, RecordedEvent
from domain.access.events import TokenEvent
from domain.actors import ActorKind
from domain.agent.events import AgentEvent, EmailClaimed
from domain.contact.events import ContactEvent
from domain.conversation.events import ConversationEvent
from domain.errors import InfrastructureError
from domain.events import Event, stored_name
from domain.idempotency.events import RequestCompleted
from domain.message.events import MessageEvent

E = TypeVar("E", bound=Event)

EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    *get_args(ConversationEvent),
    *get_args(MessageEvent),
    *get_args(ContactEvent),
    *get_args(AgentEvent),
    *get_args(TokenEvent),
    EmailClaimed,
    RequestCompleted,
)
"""Every event class of the system in its newest version."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes the fields of an older version, returns those of the next one, `type` included."""

UPCASTERS: Final[Mapping[str, Upcaster]] = {}
"""Stored name of an older version -> the step to the next one. Empty: all are version 1."""


class UnknownEventType(InfrastructureError):
    """The log holds an event that this version of kefu does not know: it is older than the log."""

    code = "unknown-event-type"

    def __init__(self, type: str) -> None:
        super().__init__(f"event type {type!r} is unknown; use the kefu that wrote it, or a newer")
        self.type = type


class UndecodableEvent(InfrastructureError):
    """The event's type is known and its payload does not fit it."""

    code = "undecodable-event"


class Metadata(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """Who caused an event, and in which chain of causes."""

    actor_kind: ActorKind
    actor_id: str
    correlation_id: str
    """Id of the request at the beginning of the chain."""
    causation_id: str | None = None
    """Position of the event that caused this one, or None for a person's command."""
    traceparent: str | None = None
    """W3C Trace Context, https://www.w3.org/TR/trace-context/"""
    key_id: str | None = None
    """Key of the data subject, once personal fields are encrypted."""


class Envelope(NamedTuple):
    """A recorded event, decoded."""

    position: int
    stream: str
    version: int
    recorded_us: int
    event: Event


_encode = msgspec.json.Encoder().encode
_DECODERS: Final = {stored_name(c): msgspec.json.Decoder(c).decode for c in EVENT_TYPES}
_NAMES: Final = {cls: stored_name(cls) for cls in EVENT_TYPES}
_METADATA: Final = msgspec.json.Decoder(Metadata)


def encode_metadata(metadata: Metadata) -> bytes:
    """Metadata as JSON; encode once for all events of a command."""
    return _encode(metadata)


def decode_metadata(data: bytes) -> Metadata:
    """Metadata of a recorded event.

    Raises:
        UndecodableEvent: it is not what `encode_metadata` writes.
    """
    try:
        return _METADATA.decode(data)
    except msgspec.MsgspecError as error:
        raise UndecodableEvent(f"metadata: {error}") from error


def encode(event: Event, metadata: bytes) -> NewEvent:
    """An event ready to be appended."""
    return NewEvent(_NAMES[type(event)], _encode(event), metadata)


def decode(type: str, payload: bytes) -> Event:
    """An event from its stored form, upcast to the newest version.

    Raises:
        UnknownEventType: no class and no upcaster has this name.
        UndecodableEvent: the payload does not fit the type.
    """
    decoder = _DECODERS.get(type)
    try:
        if decoder is not None:
            return decoder(payload)
        return _upcast(type, payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UndecodableEvent(f"{type}: {error}") from error


def open_envelope(recorded: RecordedEvent) -> Envelope:
    """A recorded event with its payload decoded; raises as `decode` does."""
    return Envelope(
        recorded.position,
        recorded.stream,
        recorded.version,
        recorded.recorded_us,
        decode(recorded.type, recorded.payload),
    )


def _upcast(type: str, payload: bytes) -> Event:
    known = type
    fields: dict[str, Any] | None = None
    while known not in _DECODERS:
        step = UPCASTERS.get(known)
        if step is None:
            raise UnknownEventType(type)
        fields = step(msgspec.json.decode(payload, type=dict) if fields is None else fields)
        known = fields["type"]
    cls = next(c for c in EVENT_TYPES if stored_name(c) == known)
    return msgspec.convert(fields, cls)
