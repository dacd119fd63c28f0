"""Access token: state, fold and decisions.

A token is 32 random bytes that only its holder knows; its stream is named by its SHA-256, so a
look-up by hash is a read of the log, and the log holds nothing that opens a door.
"""

import hashlib

import msgspec

from domain import errors
from domain.access.events import TokenEvent, TokenIssued, TokenRevoked
from domain.actors import ActorKind, Scope
from domain.events import Decider

_replace = msgspec.structs.replace


class Token(msgspec.Struct, frozen=True):
    """State of one token; its id is the SHA-256 of the secret, in hex."""

    id: str
    kind: ActorKind | None = None
    """None: never issued, the token does not exist."""
    subject_id: str = ""
    name: str = ""
    conversation_id: str | None = None
    scopes: tuple[Scope, ...] = ()
    expires_us: int | None = None
    revoked: bool = False


def token_id(secret: str) -> str:
    """Id of the token with this secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def evolve(state: Token, event: TokenEvent) -> Token:
    """State after one more event."""
    match event:
        case TokenIssued():
            return _replace(
                state,
                kind=event.kind,
                subject_id=event.subject_id,
                name=event.name,
                conversation_id=event.conversation_id,
                scopes=event.scopes,
                expires_us=event.expires_us,
            )
        case TokenRevoked():
            return _replace(state, revoked=True)


DECIDER: Decider[Token] = Decider("token", Token, evolve)


def revoke(state: Token) -> tuple[TokenEvent, ...]:
    """The token opens nothing any more."""
    return () if state.revoked or state.kind is None else (TokenRevoked(),)


def require_valid(state: Token, now_us: int) -> None:
    """The token opens its door now.

    Raises:
        Unauthenticated: it never existed or was revoked.
        TokenExpired: its time is over.
    """
    if state.kind is None or state.revoked:
        raise errors.Unauthenticated
    if state.expires_us is not None and state.expires_us <= now_us:
        raise errors.TokenExpired
