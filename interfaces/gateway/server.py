"""The gateway: takes connections on the public port, lets WebSockets in, relays the rest."""

import asyncio
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

import structlog

from interfaces.gateway.client import Client
from interfaces.gateway.client_keys import network_key
from interfaces.gateway.connection import Services
from interfaces.gateway.epoll import EpollLoop
from interfaces.gateway.handshake import PATH, Handshake, Offer
from interfaces.gateway.keepalive import Keepalive, Policy
from interfaces.gateway.limits import Limits
from interfaces.gateway.proxy_protocol import (
    LOCAL,
    Endpoint,
    ProxyProtocolError,
    encode,
    parse,
)
from interfaces.gateway.relay import Relay
from interfaces.gateway.sources import ANYBODY, Sources
from interfaces.gateway.tls_front import TlsFront
from interfaces.gateway.websocket import WebSocket
from interfaces.limit_settings import LimitSettings

_log = structlog.get_logger(__name__)

_MAX_HEAD_BYTES: Final = 16 * 1024
_SWEEP_S: Final = 0.5
"""Keepalive and limits count in ticks of this."""
_END_OF_HEAD: Final = b"\r\n\r\n"
_BARE: Final = "HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LATER: Final = "{} {}\r\nRetry-After: {}"
_TOO_LARGE: Final = _BARE.format("431 Request Header Fields Too Large").encode()
_WS_PATHS: Final = (PATH.encode() + b" ", PATH.encode() + b"?")


class Gateway:
    """Connections of one gateway process.

    Args:
        services: What connections work on.
        relay: Where everything else goes.
        limits: What clients may do.
        policy: Of keepalive.
        sources: Where connections come from: proxies that are believed, TLS.
    """

    def __init__(
        self,
        services: Services,
        relay: Relay,
        limits: LimitSettings,
        policy: Policy | None = None,
        sources: Sources = ANYBODY,
    ) -> None:
        now = time.monotonic()
        self.relay = relay
        self.services = services
        self.keepalive = Keepalive(now, policy)
        self.limits = Limits(limits, _log, now)
        self.bad_proxy_headers = 0
        """Connections from proxies that were dropped, because they did not begin as they must."""
        self._sources = sources
        self.tls = TlsFront(sources.tls, self._decrypted) if sources.tls is not None else None
        self._heads: dict[Client, _Head] = {}
        """Clients that have not finished their first request yet."""
        self._admitting: set[asyncio.Task[None]] = set()
        self.loop = EpollLoop(self._accept, self)
        self._asyncio = asyncio.get_running_loop()
        self._sweeper = self._asyncio.call_later(_SWEEP_S, self._sweep)

    def listen(self, listener: socket.socket) -> None:
        """Take connections from a listening socket."""
        self._address = listener.getsockname()
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
        if self.tls is not None:
            self.tls.begin(client.detach(), address)
            return True
        proxied = self._sources.proxy_protocol and address[0] in self._sources.proxies
        self._begin(client, _Head(Endpoint(*address[:2]), proxied=proxied))
        return True

    def _decrypted(self, plain: socket.socket, address: Any) -> None:
        head = _Head(Endpoint(*address[:2]), proxied=False)
        head.tls = True
        self._begin(self.loop.adopt(plain), head)

    def _begin(self, client: Client, head: "_Head") -> None:
        self._heads[client] = head
        self.limits.handshakes.begin(client.id)

    def received(self, client: Client, data: bytes) -> None:
        """As `Handler.received`, until it is known what the client wants."""
        head = self._heads[client]
        head.data += data
        if head.proxied and not self._took_proxy_header(client, head):
            return
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
            self.limits.closed(client.id)
            accepted = client.detach()
            here = _here(accepted) if not self.tls else Endpoint(*self._address[:2])
            preface = LOCAL if here is None else encode(head.source, here, tls=head.tls)
            self.relay.begin(accepted, preface, head.data)

    def _took_proxy_header(self, client: Client, head: "_Head") -> bool:
        """Learn from the proxy who the client is; False: not all has come, or it was dropped."""
        try:
            header = parse(head.data)
        except ProxyProtocolError:
            self.bad_proxy_headers += 1
            client.abort()
            return False
        if header is None:
            return False
        if header.source is not None:
            head.source = header.source
        head.tls = header.tls
        head.proxied = False
        head.data = head.data[header.size :]
        return bool(head.data)

    def drained(self, client: Client) -> None:
        """As `Handler.drained`."""

    def lost(self, client: Client) -> None:
        """As `Handler.lost`."""
        self._heads.pop(client, None)
        self.limits.closed(client.id)

    def _shake_hands(self, client: Client, head: bytes, early: bytes) -> None:
        begun = self._heads[client]
        begun.source = self._sources.behind(begun.source, head)
        refused = self.limits.connecting(client.id, begun.address, self.loop.now)
        if refused is not None:
            status = HTTPStatus(refused.why.status)
            line = _LATER.format(status.value, status.phrase, refused.retry_after_s)
            self._answer(client, _BARE.format(line).encode())
            return
        handshake = Handshake(self.services.origins)
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
        answer = await handshake.let_in(offer, self.services.authenticator)
        head = self._heads.pop(client, None)
        if head is None:
            return  # it has gone
        self.limits.handshakes.end(client.id)
        if answer.principal is None and answer.close is None:
            self._answer(client, answer.data)
            return
        self.keepalive.opened(client.id, network_key(head.address))
        WebSocket(client, self, answer)
        client.listen(on=True)
        if early:
            client.handler.received(client, early)

    def _answer(self, client: Client, data: bytes) -> None:
        client.queue(data)
        client.close()

    def _sweep(self) -> None:
        """Ask who is there, close who is not, and who takes too long with what it says."""
        # First: whatever happens to one client, the others are still looked after.
        self._sweeper = self._asyncio.call_later(_SWEEP_S, self._sweep)
        now, clients = time.monotonic(), self.loop.clients
        pings, dead = self.keepalive.due(now)
        for id in pings:
            handler = clients[id].handler
            if isinstance(handler, WebSocket):
                handler.ping()
        for id in dead:
            clients[id].abort()
        for id, why in self.limits.due(now):
            client = clients.get(id)
            if client is None:
                continue
            if isinstance(client.handler, WebSocket):
                client.handler.refuse(why)
            else:
                status = HTTPStatus(why.status)
                self._answer(client, _BARE.format(f"{status.value} {status.phrase}").encode())


class _Head:
    """What has come of a client's first request."""

    __slots__ = ("data", "proxied", "source", "tls")

    def __init__(self, source: Endpoint, *, proxied: bool) -> None:
        self.source = source
        """The client's end: the peer's, or what a proxy says."""
        self.data = b""
        self.proxied = proxied
        """A PROXY header comes first."""
        self.tls = False
        """The client spoke TLS, which ended at the proxy."""

    @property
    def address(self) -> str:
        """The client's; empty for one on this machine, which has no limits of its own: whatever
        runs here shares the address, a proxy above all.
        """
        try:
            return "" if ip_address(self.source.host).is_loopback else self.source.host
        except ValueError:
            return ""


def _here(accepted: socket.socket) -> Endpoint | None:
    """Our end of a connection; None: it has gone."""
    try:
        return Endpoint(*accepted.getsockname()[:2])
    except OSError:
        return None


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
