"""Who asks, and whether they may: default deny, every route says who may call it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from starlette.requests import HTTPConnection

from application.queries.core import Principal
from domain.actors import ActorKind, Role, Scope, require_conversation_access, require_scope
from domain.errors import Forbidden, Unauthenticated
from interfaces.authentication import MAX_TOKEN_CHARS as MAX_TOKEN_CHARS
from interfaces.authentication import Authenticator as Authenticator
from interfaces.authentication import bearer_token as bearer_token


class Access(NamedTuple):
    """Who may call a route."""

    roles: frozenset[Role] = frozenset()
    visitor: bool = False
    """Visitors, each for its own conversation (404 for others)."""
    scope: Scope | None = None
    """API keys with this scope."""
    recorded: bool = False
    """Whoever reads this, the read is an event; an auditor's reads always are."""
    own: bool = False
    """Shows its caller nothing but itself: never recorded."""

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
EXAMINERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
_READING: Final = ("GET", "HEAD")


def allow(access: Access) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """A dependency that lets through whom `access` names, and gives the principal."""

    async def check(connection: HTTPConnection) -> Principal:
        principal = await authenticated(connection)
        access.check(principal, connection.path_params.get("conversation_id"))
        reading = connection.scope["method"] in _READING
        auditor = principal.actor.role is Role.AUDITOR
        if reading and not access.own and (access.recorded or auditor):
            await connection.app.state.dependencies.reads.record(connection, principal)
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


def access_of(dependency: Any) -> Any:
    """What a route's dependency declares; None: nothing."""
    return getattr(dependency, "access", None)
