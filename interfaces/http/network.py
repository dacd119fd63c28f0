"""Where a request comes from."""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from interfaces.gateway.addresses import TrustedNetworks, client

UNKNOWN: Final = "unknown"
"""The address of a client on a Unix socket, which has none."""


class ClientMiddleware:
    """Puts the client's address and scheme into the scope, for all that look there.

    In place of uvicorn's `proxy_headers`, which trusts 127.0.0.1 by default and does not know
    `Forwarded`. Without trusted proxies it does nothing.
    """

    def __init__(self, app: ASGIApp, trusted: TrustedNetworks) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if self._trusted and scope["type"] == "http" and scope.get("client") is not None:
            self._resolve(scope)
        await self._app(scope, receive, send)

    def _resolve(self, scope: Scope) -> None:
        host, port = scope["client"]
        headers: dict[bytes, list[str]] = {
            b"forwarded": [],
            b"x-forwarded-for": [],
            b"x-forwarded-proto": [],
        }
        for name, value in scope["headers"]:
            if name in headers:
                headers[name].append(value.decode("latin-1"))
        found = client(
            host,
            self._trusted,
            forwarded=headers[b"forwarded"],
            x_forwarded_for=headers[b"x-forwarded-for"],
            x_forwarded_proto=headers[b"x-forwarded-proto"],
        )
        # The port behind a proxy is nobody's concern and mostly not told: 0 in ASGI.
        scope["client"] = (found.address, port if found.address == host else 0)
        if found.scheme is not None:
            scope["scheme"] = found.scheme


def client_address(connection: HTTPConnection) -> str:
    """The client's address, as far as trusted proxies say it (`ClientMiddleware`)."""
    return connection.client.host if connection.client is not None else UNKNOWN
