"""Events to bytes and back: JSON payloads, metadata, upcasting.

The payload is the event as JSON with its stored name in `type`, so that a person can read a raw
segment. Names that are no longer written are read through an upcaster chain.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, get_args

import msgspec

from application.ports.event_store import NewEvent, RecordedEvent
from domain.access.events import TokenEvent
from domain.actors import ActorKind
from domain.agent.events import AgentEvent, EmailClaimed
from domain.audit.events import AuditRead
from domain.contact.events import ContactEvent
from domain.conversation.events import ConversationEvent
from domain.errors import InfrastructureError
from domain.events import Event, stored_name
from domain.idempotency.events import RequestCompleted
from domain.message.events import MessageEvent
from domain.order.events import OrderEvent
from domain.refund.events import RefundAllowanceUsed, RefundEvent, RefundPolicySet
from domain.saga.events import SagaEvent

EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    *get_args(ConversationEvent),
    *get_args(MessageEvent),
    *get_args(ContactEvent),
    *get_args(AgentEvent),
    *get_args(TokenEvent),
    EmailClaimed,
    RequestCompleted,
    AuditRead,
    *get_args(RefundEvent),
    RefundPolicySet,
    RefundAllowanceUsed,
    *get_args(OrderEvent),
    *get_args(SagaEvent),
)
"""Every event class of the system in its newest version."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes the fields of an older version, returns those of the next one, `type` included. Pure: an
event reads the same whenever it is read."""


def _token_v2(fields: dict[str, Any]) -> dict[str, Any]:
    """API keys may have the scope `contacts:erase`."""
    return {**fields, "type": "token.issued.v2"}


def _token_v3(fields: dict[str, Any]) -> dict[str, Any]:
    """API keys may have the scopes `orders:write` and `refunds:write`."""
    return {**fields, "type": "token.issued.v3"}


UPCASTERS: Final[Mapping[str, Upcaster]] = {
    "token.issued.v1": _token_v2,
    "token.issued.v2": _token_v3,
}
"""Stored name of an older version -> the step to the next one. docs/howto/add-an-event.md shows
one."""


class UnknownEventType(InfrastructureError):
    """The log holds an event that this kefu does not know."""

    code = "unknown-event-type"

    def __init__(self, type: str) -> None:
        super().__init__(f"event type {type!r} is unknown; {_ADVICE}")
        self.type = type


class NewerEventVersion(UnknownEventType):
    """The log holds a newer version of an event that this kefu knows: it is older than the log."""

    code = "newer-event-version"

    def __init__(self, type: str, newest: int) -> None:
        InfrastructureError.__init__(
            self,
            f"event type {type!r} was written by a newer kefu, this one knows versions up to"
            f" {newest}; {_ADVICE}",
        )
        self.type = type


_ADVICE: Final = "stop this kefu and start the one that wrote it, or a newer one"


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
    """Key of the data subject whose personal fields are sealed (application.sealing)."""


class Envelope(NamedTuple):
    """A recorded event, decoded."""

    position: int
    stream: str
    version: int
    recorded_us: int
    event: Event
    erased: bool = False
    """Its personal fields are empty, because their subject was erased (application.sealing)."""


def split_name(type: str) -> tuple[str, int | None]:
    """What happened and the schema version: `conversation.opened`, 1. None: no version in it."""
    family, dot, version = type.rpartition(".v")
    if not dot or not version.isascii() or not version.isdigit() or len(version) > 9:
        return type, None
    return family, int(version)


class EventCodec:
    """Event classes, and the way to them from every version that was ever stored."""

    def __init__(self, types: Iterable[type[Event]], upcasters: Mapping[str, Upcaster]) -> None:
        """
        Raises:
            ValueError: two classes have one stored name, or the newest version has an upcaster.
        """
        self._classes: dict[str, type[Event]] = {}
        self._newest: dict[str, int] = {}
        for cls in types:
            name = stored_name(cls)
            family, version = split_name(name)
            if name in self._classes or name in upcasters or family in self._newest:
                raise ValueError(f"{name} is not the only newest version of {family}")
            self._classes[name] = cls
            self._newest[family] = version or 0
        self._decoders = {n: msgspec.json.Decoder(c).decode for n, c in self._classes.items()}
        self._upcasters = upcasters

    def decode(self, type: str, payload: bytes) -> Event:
        """An event from its stored form, upcast to the newest version.

        Raises:
            NewerEventVersion: a newer kefu wrote it.
            UnknownEventType: no class and no upcaster has this name.
            UndecodableEvent: the payload does not fit the type.
        """
        decoder = self._decoders.get(type)
        try:
            if decoder is not None:
                return decoder(payload)
            return self._upcast(type, payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UndecodableEvent(f"{type}: {error}") from error

    def knows(self, type: str) -> bool:
        """Whether events of this stored name can be read."""
        return type in self._decoders or type in self._upcasters

    def _upcast(self, type: str, payload: bytes) -> Event:
        if type not in self._upcasters:
            raise self._unknown(type)
        fields: dict[str, Any] = msgspec.json.decode(payload, type=dict)
        name, passed = type, set[str]()
        while name not in self._classes:
            step = self._upcasters.get(name)
            if step is None or name in passed:
                raise UndecodableEvent(f"{type}: its upcasters lead to {name}, and no further")
            passed.add(name)
            try:
                fields = step(fields)
                name = str(fields["type"])
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                reason = f"{error.__class__.__name__}: {error}"
                raise UndecodableEvent(f"{type}: the step from {name}: {reason}") from error
        return msgspec.convert(fields, self._classes[name])

    def _unknown(self, type: str) -> UnknownEventType:
        family, version = split_name(type)
        newest = self._newest.get(family)
        if newest is not None and version is not None and version > newest:
            return NewerEventVersion(type, newest)
        return UnknownEventType(type)


_encode = msgspec.json.Encoder().encode
_NAMES: Final = {cls: stored_name(cls) for cls in EVENT_TYPES}
_METADATA: Final = msgspec.json.Decoder(Metadata)
_CODEC: Final = EventCodec(EVENT_TYPES, UPCASTERS)

decode: Final = _CODEC.decode
knows: Final = _CODEC.knows


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


def open_envelope(recorded: RecordedEvent) -> Envelope:
    """A recorded event with its payload decoded; raises as `decode` does."""
    return Envelope(
        recorded.position,
        recorded.stream,
        recorded.version,
        recorded.recorded_us,
        decode(recorded.type, recorded.payload),
    )
