"""Who asks, and whether they may: default deny, every route says who may call it."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from starlette.requests import HTTPConnection

from application.ports.core import Core
from application.ports.system import Clock
from application.queries.core import Authenticate, Principal
from domain.access.token import token_id
from domain.actors import ActorKind, Role, Scope, require_conversation_access, require_scope
from domain.errors import Forbidden, TokenExpired, Unauthenticated

_CACHE_S: Final = 60
_CACHE_SIZE: Final = 50_000
MAX_TOKEN_CHARS: Final = 512


class Authenticator:
    """Asks the core who holds a token, and remembers the answer for up to a minute.

    The hub calls `forget` and `forget_subject` as soon as the log says that a token or its agent
    changed, so a revoked session ends at once and not after that minute.
    """

    def __init__(self, core: Core, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._cache: OrderedDict[str, tuple[Principal, int]] = OrderedDict()

    async def authenticate(self, secret: str) -> Principal:
        """The token's holder.

        Raises:
            Unauthenticated, TokenExpired: it opens nothing.
            Unavailable: the core does not answer and the token is not remembered.
        """
        if not 1 <= len(secret) <= MAX_TOKEN_CHARS:
            raise Unauthenticated
        id = token_id(secret)
        now_us = self._clock.now_us()
        found = self._cache.get(id)
        if found is not None and found[1] > now_us - _CACHE_S * 1_000_000:
            principal = found[0]
        else:
            principal = await self._core.query(Authenticate(id))
            self._cache[id] = (principal, now_us)
            while len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        if principal.expires_us is not None and principal.expires_us <= now_us:
            raise TokenExpired
        return principal

    def forget(self, id: str) -> None:
        """The token with this id changed."""
        self._cache.pop(id, None)

    def forget_subject(self, subject_id: str) -> None:
        """The agent or contact with this id changed."""
        stale = [id for id, (p, _) in self._cache.items() if p.actor.id == subject_id]
        for id in stale:
            del self._cache[id]


class Access(NamedTuple):
    """Who may call a route."""

    roles: frozenset[Role] = frozenset()
    visitor: bool = False
    """Visitors, each for its own conversation (404 for others)."""
    scope: Scope | None = None
    """API keys with this scope."""

    def check(self, principal: Principal, conversation_id: str | None) -> None:
        """Let the principal pass.

        Raises:
            Forbidden, ConversationNotFound.
        """
        actor = principal.actor
        match actor.kind:
            case ActorKind.AGENT if actor.role in self.roles:
                return
            case ActorKind.VISITOR if self.visitor:
                if conversation_id is not None:
                    require_conversation_access(actor, conversation_id)
                return
            case ActorKind.API_KEY if self.scope is not None:
                require_scope(actor, self.scope)
                return
        raise Forbidden


STAFF: Final = frozenset({Role.ADMIN, Role.AGENT})
READERS: Final = frozenset({Role.ADMIN, Role.AGENT, Role.AUDITOR})
ADMINS: Final = frozenset({Role.ADMIN})
AUDITORS: Final = frozenset({Role.AUDITOR})


def allow(access: Access) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """A dependency that lets through whom `access` names, and gives the principal."""

    async def check(connection: HTTPConnection) -> Principal:
        principal = await authenticated(connection)
        access.check(principal, connection.path_params.get("conversation_id"))
        return principal

    check.access = access  # type: ignore[attr-defined]  # read by the test that walks all routes
    return check


async def public() -> None:
    """A dependency that says: anyone may call this."""


public.access = "public"  # type: ignore[attr-defined]  # read by the test that walks all routes


async def authenticated(connection: HTTPConnection) -> Principal:
    """Who sent the request.

    Raises:
        Unauthenticated: nobody known.
    """
    secret = bearer(connection)
    if secret is None:
        raise Unauthenticated
    authenticator: Authenticator = connection.app.state.dependencies.authenticator
    principal = await authenticator.authenticate(secret)
    connection.state.principal = principal
    return principal


def bearer(connection: HTTPConnection) -> str | None:
    """The token of the Authorization header (RFC 6750 section 2.1)."""
    return bearer_token(connection.headers.get("authorization", ""))


def bearer_token(header: str) -> str | None:
    """The token in an Authorization header's value; None: there is none of this scheme."""
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def access_of(dependency: Any) -> Any:
    """What a route's dependency declares; None: nothing."""
    return getattr(dependency, "access", None)
