"""A WebSocket on the epoll loop: frames of one connection, behind its handshake."""

import asyncio
import socket
from typing import Final, Protocol

from interfaces.gateway import protocol, tcp_info
from interfaces.gateway.client import Client
from interfaces.gateway.connection import Connection, Services
from interfaces.gateway.epoll import EpollLoop
from interfaces.gateway.handshake import Answer
from interfaces.gateway.keepalive import Keepalive
from interfaces.gateway.limits import Limits, Refusal
from interfaces.gateway.session import CLOSE_GOING_AWAY, MAX_FRAME_BYTES

_CLOSE_S: Final = 2.0


class Surroundings(Protocol):
    """What all WebSockets of a gateway share."""

    loop: EpollLoop
    services: Services
    keepalive: Keepalive
    limits: Limits


class WebSocket:
    """Handler of a client, and the `Wire` of its `Connection`."""

    __slots__ = ("_around", "_client", "_closing", "_connection", "_frames", "_late_bytes")

    def __init__(self, client: Client, around: Surroundings, answer: Answer) -> None:
        """Send the handshake's answer and go on from there."""
        self._client = client
        self._around = around
        self._frames = protocol.WebSocketProtocol(MAX_FRAME_BYTES)
        self._closing = False
        self._late_bytes = 0
        self._connection: Connection | None = None
        client.handler = self
        client.queue(answer.data)
        if answer.principal is not None:
            self._connection = Connection(self, around.services, answer.principal)
        elif answer.close is not None:
            self.close(*answer.close)

    # Wire.

    def write(self, frame: bytes) -> int:
        """As `Wire.write`."""
        return self._client.queue(protocol.text_header(len(frame)), frame)

    def close(self, code: int, reason: str) -> None:
        """As `Wire.close`. A client that reads nothing would hold it up for ever: then the
        connection is just dropped.
        """
        if self._closing:
            return
        self._closing = True
        self._client.queue(protocol.close(code, reason))
        self._client.flush()
        asyncio.get_running_loop().call_later(_CLOSE_S, self._client.abort)

    # Handler.

    def received(self, client: Client, data: bytes) -> None:
        """As `Handler.received`."""
        around, id = self._around, client.id
        around.keepalive.heard(id)
        if self._closing:
            # For the close frame's answer; a client that goes on all the same is cut off.
            self._late_bytes += len(data)
            if self._late_bytes > MAX_FRAME_BYTES:
                client.abort()
                return
        was_unfinished = self._frames.unfinished
        events = self._frames.receive(data)
        if self._frames.unfinished:
            around.limits.messages.begin(id)
        elif was_unfinished:
            around.limits.messages.end(id)
        connection = self._connection
        messages = sum(type(event) is str for event in events)
        if messages and connection is not None and not self._closing:
            why = around.limits.message(
                id, connection.subject_id, around.loop.now, staff=connection.staff, count=messages
            )
            if why is not None:
                self.refuse(why)
                return
        for event in events:
            if type(event) is str:
                if connection is not None:
                    connection.receive(event)
            else:
                self._rare(client, event)

    def drained(self, client: Client) -> None:
        """As `Handler.drained`."""
        if self._connection is not None:
            self._connection.drained()

    def lost(self, client: Client) -> None:
        """As `Handler.lost`."""
        self._around.keepalive.closed(client.id)
        self._around.limits.closed(client.id)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost()

    # For the gateway.

    def ping(self) -> None:
        """Ask whether somebody is there."""
        self._client.queue(protocol.ping())

    def refuse(self, why: Refusal) -> None:
        """Close: the client did too much, or took too long."""
        self._end(why.close_code, why.reason)

    def go_away(self) -> None:
        """kefu stops."""
        self._end(CLOSE_GOING_AWAY, "kefu restarts; come back in a moment")

    def _end(self, code: int, reason: str) -> None:
        if self._connection is not None:
            self._connection.end(code, reason)
        else:
            self._client.abort()

    def _rare(self, client: Client, event: protocol.Event) -> None:
        limits, now = self._around.limits, self._around.loop.now
        if self._closing and not isinstance(event, protocol.Closed):
            return
        match event:
            case protocol.Ping(payload=payload):
                if (why := limits.control(client.id, now)) is not None:
                    self.refuse(why)
                else:
                    client.queue(protocol.pong(payload))
            case protocol.Pong():
                if (why := limits.control(client.id, now)) is not None:
                    self.refuse(why)
                else:
                    self._measure(client)
            case protocol.Closed(code=code):
                if not self._closing:
                    self._closing = True
                    client.queue(protocol.close(code))
                client.close()
            case protocol.Violation(code=code, reason=reason):
                limits.violated(event, now)
                self._end(code, reason)
            case protocol.Binary():
                if self._connection is not None:
                    self._connection.receive_binary()

    def _measure(self, client: Client) -> None:
        """A pong has just gone over the link: now the kernel knows it best."""
        if client.fd < 0:
            return
        link = socket.socket(fileno=client.fd)
        try:
            found = tcp_info.sample(link)
        finally:
            link.detach()
        if found is not None:
            self._around.keepalive.sample(client.id, found)
