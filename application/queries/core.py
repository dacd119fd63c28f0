"""Queries that the core answers from the log itself, so that they work without the views."""

from typing import Any

import msgspec

from application.ports.erasure import SignedCertificate
from application.ports.event_store import RecordedEvent
from domain.actors import Actor, Role
from domain.order.order import Order


class Authenticate(msgspec.Struct, frozen=True, tag=True):
    """Who holds the token with this id (SHA-256 of the secret)? Answer: `Principal`."""

    token_id: str


class FindCredentials(msgspec.Struct, frozen=True, tag=True):
    """What is needed to verify a password. Answer: `Credentials`, or None: no such agent."""

    email: str


class ConversationAsOf(msgspec.Struct, frozen=True, tag=True):
    """A conversation as it was. Answer: `ConversationRow` (application.ports.views)."""

    conversation_id: str
    position: int | None = None
    """As of this position; None with `time_us` None: now."""
    time_us: int | None = None


class StreamSlice(msgspec.Struct, frozen=True, array_like=True):
    """Part of one stream."""

    stream: str
    after_version: int = -1
    limit: int = 200
    """1 to 200 events."""


class ReadStreams(msgspec.Struct, frozen=True, tag=True):
    """Events as they stand in the log, of 1 to 100 streams at once. Answer: `StreamsRead`.

    The core only looks them up; whoever asks folds them, so that nothing waits for a long history.
    """

    slices: tuple[StreamSlice, ...]
    up_to_position: int | None = None


class LogHealth(msgspec.Struct, frozen=True, tag=True):
    """Does the log take events? Answer: why it does not, or None: it does."""


class IndexHealth(msgspec.Struct, frozen=True, tag=True):
    """Can streams be looked up? Answer: `IndexState`, or None: they can."""


class ErasureOf(msgspec.Struct, frozen=True, tag=True):
    """That a contact was erased. Answer: `SignedCertificate` (application.ports.erasure)."""

    contact_id: str


class FindOrder(msgspec.Struct, frozen=True, tag=True):
    """An order as it stands, by the company's own number. Answer: `Order` (domain.order.order).

    Raises `OrderNotFound`.
    """

    reference: str


CoreQuery = (
    Authenticate
    | FindCredentials
    | ConversationAsOf
    | ReadStreams
    | LogHealth
    | IndexHealth
    | ErasureOf
    | FindOrder
)


class StreamsRead(msgspec.Struct, frozen=True):
    """What `ReadStreams` found."""

    events: list[RecordedEvent]
    """Slice by slice, each in version order."""
    slices: int
    """So many of the slices are answered, at least one; the others would make it too large."""


class Principal(msgspec.Struct, frozen=True):
    """An authenticated identity and how long it holds."""

    actor: Actor
    token_id: str
    expires_us: int | None
    email: str | None = None
    must_change_password: bool = False


class Credentials(msgspec.Struct, frozen=True):
    """An agent's password hash; never leaves the machine, never logged."""

    agent_id: str
    email: str
    name: str
    role: Role
    active: bool
    password_hash: str
    must_change_password: bool


class IndexState(msgspec.Struct, frozen=True):
    """How far the log's index of streams is being rebuilt; until then no command is taken."""

    percent: int
    done: int
    """Position up to which it knows every event."""
    total: int
    failure: str | None
    """Why that does not go on; None: it does."""


ANSWER_TYPES: dict[type[Any], Any] = {
    Authenticate: Principal,
    FindCredentials: Credentials | None,
    ReadStreams: StreamsRead,
    LogHealth: str | None,
    IndexHealth: IndexState | None,
    ErasureOf: SignedCertificate,
    FindOrder: Order,
}
"""Query -> type of its answer, for adapters that carry answers as bytes."""
