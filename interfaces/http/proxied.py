"""HTTP in uvicorn, with a PROXY header first on connections that come over a Unix socket.

Only this user's processes can connect there (0600): they are kefu's own gateways, which say for
whom each connection is. A TCP connection begins with its request as ever.
"""

import asyncio
import socket
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from interfaces.gateway import proxy_protocol

_log = structlog.get_logger(__name__)

HEADER_S: Final = 5.0
"""Until the whole header must have come."""


class ProxiedHttp(HttpToolsProtocol):
    """uvicorn's protocol; `client` and `scheme` of the ASGI scope are those of the header."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header: bytes | None = None
        """What has come of it; None: none is to come."""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        accepted = transport.get_extra_info("socket")
        if accepted is not None and accepted.family == socket.AF_UNIX:
            self._header = b""
            self._deadline = self.loop.call_later(HEADER_S, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._header is None:
            super().data_received(data)
            return
        self._header += data
        try:
            header = proxy_protocol.parse(self._header)
        except proxy_protocol.ProxyProtocolError as error:
            _log.error("web.bad_proxy_header", code=error.code, error=error.detail)
            self._expect_no_more()
            self.transport.abort()
            return
        if header is None:
            return
        rest = self._header[header.size :]
        self._expect_no_more()
        if header.source is not None:
            self.client = (header.source.host, header.source.port)
        if header.destination is not None:
            self.server = (header.destination.host, header.destination.port)
        self.scheme = "https" if header.tls else "http"
        if rest:
            super().data_received(rest)

    def shutdown(self) -> None:
        if self._header is not None:
            self.transport.abort()
        else:
            super().shutdown()

    def _too_late(self) -> None:
        _log.error("web.no_proxy_header", waited_s=HEADER_S)
        self._expect_no_more()
        self.transport.abort()

    def _expect_no_more(self) -> None:
        self._header = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
