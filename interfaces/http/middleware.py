"""Around every request: correlation id, size limit, security headers, access log, counts."""

import time
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.ports.system import Ids
from interfaces.http.context import correlation_id
from interfaces.http.metrics import HttpStats
from interfaces.http.problems import PayloadTooLarge, from_error

_log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 1024 * 1024
_MAX_DRAINED_BYTES: Final = 16 * MAX_BODY_BYTES
"""A body over the limit is still read up to here and dropped: a client that is answered while it
sends sees a broken connection and not the answer.
"""
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
}
_QUIET: Final = ("/healthz", "/readyz", "/metrics")


class RequestMiddleware:
    """Plain ASGI, so that WebSockets and streams pass through untouched."""

    def __init__(self, app: ASGIApp, ids: Ids, stats: HttpStats) -> None:
        self._app = app
        self._ids = ids
        self._stats = stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request = Request(scope)
        correlation = correlation_id(request, self._ids.new())
        scope.setdefault("state", {})["correlation_id"] = correlation
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = correlation
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            limited = await _limited(request, receive)
            if limited is None:
                response = from_error(
                    PayloadTooLarge(f"The body may have {MAX_BODY_BYTES} bytes at most."),
                    scope["path"],
                )
                await response(scope, receive, answer)
            else:
                await self._app(scope, limited, answer)
        finally:
            seconds = time.perf_counter() - started
            self._stats.requests[request.method, str(status)] += 1
            self._stats.seconds += seconds
            if scope["path"] not in _QUIET:
                # The path only: a query may hold what somebody searched for.
                _log.info(
                    "http.request",
                    method=request.method,
                    path=scope["path"],
                    status=status,
                    ms=round(seconds * 1000, 2),
                    correlation_id=correlation,
                )


async def _limited(request: Request, receive: Receive) -> Receive | None:
    """The body, read within the limit, to be received again; None: it is over the limit."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return receive
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > _MAX_DRAINED_BYTES:
        return None
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            return receive  # it went away: the app finds that out too, and does nothing by halves
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > _MAX_DRAINED_BYTES:
            return None
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body", False):
            break
    if size > MAX_BODY_BYTES:
        return None
    body: Message | None = {"type": "http.request", "body": b"".join(chunks), "more_body": False}

    async def again() -> Message:
        nonlocal body
        if body is not None:
            message, body = body, None
            return message
        return await receive()

    return again
