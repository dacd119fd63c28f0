"""What a command carries over from its HTTP request: actor, correlation, idempotency."""

import hashlib
import re
from typing import Annotated, Any, Final

from fastapi import Depends, Header
from starlette.requests import Request as HttpRequest

from application.ports.core import Idempotency, Receipt, Request
from domain.actors import Actor
from domain.errors import InvalidInput
from interfaces.http.dependencies import Deps, WebDependencies

MIN_POSITION_WAIT_S: Final = 5.0
_MAX_KEY_CHARS: Final = 255
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")


def correlation_id(request: HttpRequest, fallback: str) -> str:
    """The client's X-Request-Id if it is a sensible one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else fallback


def traceparent(request: HttpRequest) -> str | None:
    """The W3C trace context; an invalid header is ignored, as the recommendation says."""
    given = request.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else None


async def idempotency(
    request: HttpRequest,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Repeats of a write with the same key and body give the first result; "
            "kept for ever.",
        ),
    ] = None,
) -> Idempotency | None:
    """The request's Idempotency-Key, quoted (RFC 8941 string) or not.

    Raises:
        InvalidInput: it is empty or too long.
    """
    if key is None:
        return None
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= _MAX_KEY_CHARS:
        raise InvalidInput(f"Idempotency-Key must have 1 to {_MAX_KEY_CHARS} characters.")
    digest = hashlib.sha256()
    for part in (request.method.encode(), request.url.path.encode(), await request.body()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Idempotency(key, digest.hexdigest())


class Commands:
    """Sends commands on behalf of one HTTP request."""

    def __init__(
        self, request: HttpRequest, deps: WebDependencies, key: Idempotency | None
    ) -> None:
        self._request = request
        self._deps = deps
        self.key = key

    async def execute(self, command: Any, actor: Actor, *, once: bool = True) -> Receipt:
        """Execute a command; `once`: under the request's Idempotency-Key."""
        return await self._deps.core.execute(
            Request(
                command,
                actor,
                self._request.state.correlation_id,
                self.key if once else None,
                traceparent(self._request),
            )
        )


def _commands(
    request: HttpRequest,
    deps: Deps,
    key: Annotated[Idempotency | None, Depends(idempotency)],
) -> Commands:
    return Commands(request, deps, key)


CommandsDep = Annotated[Commands, Depends(_commands)]


async def min_position(
    deps: Deps,
    position: Annotated[
        int | None,
        Header(
            alias="Kefu-Min-Position",
            ge=0,
            description="Wait (at most 5 s) until the views hold this position.",
        ),
    ] = None,
) -> None:
    """A read after a write by the same client sees the write.

    Raises:
        Unavailable: the views do not reach the position within 5 s.
    """
    if position:
        if position > 2**62:
            raise InvalidInput("Kefu-Min-Position is not a position that this log gave.")
        await deps.views.wait_for(position, MIN_POSITION_WAIT_S)
