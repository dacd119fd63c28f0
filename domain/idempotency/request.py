"""Idempotent request: state, fold and check."""

import hashlib

import msgspec

from domain import errors
from domain.actors import Actor
from domain.events import Decider
from domain.idempotency.events import RequestCompleted


class IdempotentRequest(msgspec.Struct, frozen=True):
    """State of one idempotency key; its id is a hash of who used it and the key."""

    id: str
    fingerprint: str | None = None
    """None: not used yet."""
    result: dict[str, str | int | None] = {}


def request_id(actor: Actor, key: str) -> str:
    """Id of a key, scoped to its user: another user's equal key is another key."""
    name = "\x00".join((actor.kind.value, actor.id, key))
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def evolve(state: IdempotentRequest, event: RequestCompleted) -> IdempotentRequest:
    """State after its only event."""
    return msgspec.structs.replace(state, fingerprint=event.fingerprint, result=event.result)


DECIDER: Decider[IdempotentRequest] = Decider("idempotency", IdempotentRequest, evolve)


def require_same(state: IdempotentRequest, fingerprint: str) -> None:
    """A key that was used stands for the same request.

    Raises:
        IdempotencyKeyReused: it stands for another one.
    """
    if state.fingerprint is not None and state.fingerprint != fingerprint:
        raise errors.IdempotencyKeyReused
