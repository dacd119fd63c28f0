"""What is not `/ws` goes to the web role as it is, byte for byte, over a Unix socket or a link.

A connection that has begun as HTTP stays with the web role to its end, also when it is upgraded
later: the web role speaks `/ws` as well.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import structlog

from interfaces.problems import MEDIA_TYPE, problem

_log = structlog.get_logger(__name__)

_LAST_ANSWER_S: Final = 60.0
Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[Any, Any]]]
"""Connects a new protocol to the web role, as the loop's `create_unix_connection` does; raises
OSError."""


class Pipe(asyncio.Protocol):
    """One end of two; what it hears the other end says, no faster than that is heard."""

    def __init__(self) -> None:
        self.other: Pipe | None = None
        self.ended = False
        """It says no more."""
        self.gone = False
        """It was connected and is no more."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)

    def say(self, data: bytes) -> None:
        """Write."""
        if self._transport is not None:
            self._transport.write(data)

    def listen(self, *, on: bool) -> None:
        """Whether to read."""
        if self._transport is not None and not self._transport.is_closing():
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def hang_up(self) -> None:
        """Write what is queued, then close."""
        if self._transport is not None:
            self._transport.close()

    def half_close(self) -> None:
        """The other side says no more."""
        if self._transport is None:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:  # TLS has no half of an end
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.say(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.listen(on=False)

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.listen(on=True)

    def eof_received(self) -> bool:
        self.ended = True
        other = self.other
        if other is None or other.ended:
            return False
        other.half_close()
        # With TLS the end of one direction ends both, whatever is said here.
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self.other is not None:
            self.other.hang_up()


class Relay:
    """Connections to one web role.

    Args:
        web: Path of its Unix socket, or how else to connect to it.
    """

    def __init__(self, web: Path | Connect) -> None:
        self.open = 0
        """Connections under way."""
        self.relayed = 0
        self.failed = 0
        """Connections that were answered 502, because the web role did not answer."""
        self._connect = _over_socket(web) if isinstance(web, Path) else web
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, client: socket.socket, preface: bytes, received: bytes) -> None:
        """Relay a connection from now on; it is closed when either side has closed.

        Args:
            client: Not blocking.
            preface: What the web role is told before.
            received: What the client has sent already.
        """
        task = asyncio.create_task(self._begin(client, preface + received))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, client: socket.socket, first: bytes) -> None:
        loop = asyncio.get_running_loop()
        far = _Far()
        near = _Near(self, far, first)
        try:
            await self._connect(lambda: far)
        except OSError as error:
            self.failed += 1
            _log.warning("gateway.web_unavailable", error=str(error))
            await _refuse(client)
            return
        self.relayed += 1
        far.other = near
        if far.gone:
            client.close()
            return
        try:
            await loop.connect_accepted_socket(lambda: near, client)
        except OSError:
            far.hang_up()  # the client has gone
            client.close()


class _Far(Pipe):
    """The web role's end."""

    def half_close(self) -> None:
        # A client may say its last before it is answered. Over a link, where one direction can't
        # end alone, the web role is not told, and the answer has some time.
        if self._transport is None or self._transport.can_write_eof():
            super().half_close()
        else:
            asyncio.get_running_loop().call_later(_LAST_ANSWER_S, self.hang_up)


class _Near(Pipe):
    """The client's end."""

    def __init__(self, relay: Relay, far: Pipe, first: bytes) -> None:
        super().__init__()
        self.other = far
        self._relay = relay
        self._first = first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._relay.open += 1
        super().connection_made(transport)
        # Not before: the answer must find this end there.
        assert self.other is not None
        self.other.say(self._first)
        self._first = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.open -= 1
        super().connection_lost(exc)


def _over_socket(path: Path) -> Connect:
    def connect(factory: Callable[[], asyncio.Protocol]) -> Awaitable[tuple[Any, Any]]:
        return asyncio.get_running_loop().create_unix_connection(factory, str(path))

    return connect


async def _refuse(client: socket.socket) -> None:
    detail = "This part of kefu does not answer at the moment; try again."
    body = msgspec.json.encode(problem(502, "unavailable", detail).body)
    head = (
        f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: {MEDIA_TYPE}\r\nRetry-After: 1\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with client:
        try:
            await asyncio.get_running_loop().sock_sendall(client, head.encode() + body)
        except OSError:
            return  # it has gone
