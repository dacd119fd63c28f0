"""The gateway: takes connections on the public port, lets WebSockets in, relays the rest."""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final

from interfaces.gateway.connection import Services
from interfaces.gateway.epoll import Client, EpollLoop
from interfaces.gateway.handshake import PATH, Answer, Handshake, Offer
from interfaces.gateway.relay import Relay
from interfaces.gateway.websocket import WebSocket

_MAX_HEAD_BYTES: Final = 16 * 1024
_HEAD_S: Final = 10.0
"""In which a client must have said what it wants."""
_SWEEP_S: Final = 1.0
_END_OF_HEAD: Final = b"\r\n\r\n"
_BARE: Final = "HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TOO_LARGE: Final = _BARE.format("431 Request Header Fields Too Large").encode()
_TOO_SLOW: Final = _BARE.format("408 Request Timeout").encode()
_WS_PATHS: Final = (PATH.encode() + b" ", PATH.encode() + b"?")


class Gateway:
    """Connections of one gateway process.

    Args:
        services: What connections work on.
        relay: Where everything else goes.
    """

    def __init__(self, services: Services, relay: Relay) -> None:
        self.relay = relay
        self.too_slow = 0
        """Connections closed because they never said what they want."""
        self._services = services
        self._heads: dict[Client, _Head] = {}
        """Clients that have not finished their first request yet, the oldest first."""
        self._admitting: set[asyncio.Task[None]] = set()
        self.loop = EpollLoop(self._accept, self)
        self._asyncio = asyncio.get_running_loop()
        self._sweeper = self._asyncio.call_later(_SWEEP_S, self._sweep)

    def listen(self, listener: socket.socket) -> None:
        """Take connections from a listening socket."""
        self.loop.listen(listener)

    async def close(self, patience_s: float) -> None:
        """Take no more, tell every WebSocket to come back, and wait a while for them to go."""
        self._sweeper.cancel()
        self.loop.stop_listening()
        for client in list(self.loop.clients.values()):
            if isinstance(client.handler, WebSocket):
                client.handler.go_away()
            else:
                client.abort()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.loop.empty.wait(), patience_s)
        self.loop.close()

    # The first request. Handler.

    def _accept(self, client: Client, address: Any) -> bool:
        self._heads[client] = _Head(self._asyncio.time(), address)
        return True

    def received(self, client: Client, data: bytes) -> None:
        """As `Handler.received`, until it is known what the client wants."""
        head = self._heads[client]
        head.data += data
        end = head.data.find(_END_OF_HEAD)
        if end < 0:
            if len(head.data) > _MAX_HEAD_BYTES:
                self._answer(client, _TOO_LARGE)
            return
        end += len(_END_OF_HEAD)
        if _wants_websocket(head.data[:end]):
            self._shake_hands(client, head.data[:end], head.data[end:])
        else:
            del self._heads[client]
            self.relay.begin(client.detach(), b"", head.data)

    def drained(self, client: Client) -> None:
        """As `Handler.drained`."""

    def lost(self, client: Client) -> None:
        """As `Handler.lost`."""
        self._heads.pop(client, None)

    def _shake_hands(self, client: Client, head: bytes, early: bytes) -> None:
        handshake = Handshake()
        found = handshake.receive(head)
        if isinstance(found, Offer):
            client.listen(on=False)  # until it is let in; the deadline holds meanwhile
            task = asyncio.create_task(self._let_in(client, handshake, found, early))
            self._admitting.add(task)
            task.add_done_callback(self._admitting.discard)
        else:
            self._answer(client, found.data if found is not None else b"")

    async def _let_in(
        self, client: Client, handshake: Handshake, offer: Offer, early: bytes
    ) -> None:
        answer = await handshake.let_in(offer, self._services.authenticator)
        if self._heads.pop(client, None) is None:
            return  # it has gone
        if answer.principal is None and answer.close is None:
            self._answer(client, answer.data)
            return
        self._welcome(client, answer)
        client.listen(on=True)
        if early:
            client.handler.received(client, early)

    def _welcome(self, client: Client, answer: Answer) -> None:
        WebSocket(client, self._services, answer)

    def _answer(self, client: Client, data: bytes) -> None:
        client.queue(data)
        client.close()

    def _sweep(self) -> None:
        """Close those that say nothing, or say it a byte at a time."""
        began_before = self._asyncio.time() - _HEAD_S
        for client, head in list(self._heads.items()):
            if head.began > began_before:
                break
            self.too_slow += 1
            self._answer(client, _TOO_SLOW)
        self._sweeper = self._asyncio.call_later(_SWEEP_S, self._sweep)


class _Head:
    """What has come of a client's first request."""

    __slots__ = ("address", "began", "data")

    def __init__(self, began: float, address: Any) -> None:
        self.began = began
        self.address = address
        self.data = b""


def _wants_websocket(head: bytes) -> bool:
    """Whether it is a request for `/ws` with an upgrade; anything else there is for the web role,
    which says what is wrong with it.
    """
    line, _, headers = head.partition(b"\r\n")
    method, _, rest = line.partition(b" ")
    return (
        method == b"GET"
        and rest.startswith(_WS_PATHS)
        and b"\r\nupgrade:" in b"\r\n" + headers.lower()
    )
