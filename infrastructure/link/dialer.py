"""A remote's way to the services of a link."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from infrastructure.ipc.client import Connect
from infrastructure.link import sockets
from infrastructure.link.protocol import (
    MAX_LINE_BYTES,
    FeedRequest,
    LinkRefused,
    Mark,
    answered,
    ask,
    ask_feed,
)
from infrastructure.link.tls import LinkTls
from infrastructure.valkey.bounded_log import BoundedLog

_CONNECT_S: Final = 5.0
Factory = Callable[[], asyncio.Protocol]


class LinkDialer:
    """Connects to one link, a TLS connection for each use.

    Args:
        host: Name or address, which the link's certificate must hold.
        port: Where it listens.
        tls: This end's certificate.
    """

    def __init__(self, host: str, port: int, tls: LinkTls) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._log = BoundedLog()

    def to(self, service: str) -> Connect:
        """How to connect a protocol to `core` or `web`."""

        async def connect(factory: Factory) -> tuple[Any, Any]:
            _, transport, protocol = await self._dial(ask(service), factory)
            return transport, protocol

        return connect

    async def feed(self, request: FeedRequest, factory: Factory) -> tuple[Mark, Any]:
        """Connect a protocol to the feed.

        Returns:
            Where the feed begins, and the protocol.

        Raises:
            OSError: there is none, `LinkRefused` if the link said so; abort the protocol, which
                may be connected.
        """
        mark, _, protocol = await self._dial(ask_feed(request), factory)
        if mark is None:
            raise LinkRefused("what answers is not a link")
        return mark, protocol

    async def _dial(self, line: bytes, factory: Factory) -> tuple[Mark | None, Any, Any]:
        try:
            return await self._try(line, factory)
        except OSError as error:
            reason = str(error) or type(error).__name__
            self._log.warning("link.unreachable", link=f"{self._host}:{self._port}", error=reason)
            raise

    async def _try(self, line: bytes, factory: Factory) -> tuple[Mark | None, Any, Any]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):
            connection = await self._connection()
            try:
                transport, greeting = await loop.create_connection(
                    lambda: _Greeting(line, factory),
                    sock=connection,
                    ssl=self._tls.context(),
                    server_hostname=self._host,
                )
            except BaseException:
                connection.close()
                raise
            try:
                mark = await greeting.answer
            except BaseException:
                transport.abort()
                raise
            return mark, transport, greeting.protocol

    async def _connection(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        failure: OSError | None = None
        for family, kind, number, _, address in found:
            connection = socket.socket(family, kind, number)
            try:
                sockets.prepare(connection)
                await loop.sock_connect(connection, address)
            except OSError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure or OSError("no address")


class _Greeting(asyncio.Protocol):
    """Says the first line and hears the answer; then the connection is the other protocol's."""

    def __init__(self, line: bytes, factory: Factory) -> None:
        self.answer: asyncio.Future[Mark | None] = asyncio.get_running_loop().create_future()
        self.protocol: asyncio.Protocol | None = None
        self._line = line
        self._factory = factory
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._line)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        line, end, rest = self._heard.partition(b"\n")
        if self.answer.done() or (not end and len(line) <= MAX_LINE_BYTES):
            return
        try:
            mark = answered(line)
        except LinkRefused as error:
            self.answer.set_exception(error)
            return
        protocol = self.protocol = self._factory()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if rest:
            protocol.data_received(rest)
        self.answer.set_result(mark)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            # With TLS 1.3 a certificate is refused after the client's end of the handshake
            # (RFC 8446 section 4.4.2.4).
            reason = str(exc) if exc is not None else "closed; does it trust our certificate?"
            self.answer.set_exception(LinkRefused(reason))
