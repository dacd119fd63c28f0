"""A WebSocket on the epoll loop: frames of one connection, behind its handshake."""

import asyncio
from typing import Final

from interfaces.gateway import protocol
from interfaces.gateway.connection import Connection, Services
from interfaces.gateway.epoll import Client
from interfaces.gateway.handshake import Answer

MAX_FRAME_BYTES: Final = 64 * 1024
"""Contract: a longer message is closed with 1009."""
CLOSE_GOING_AWAY: Final = 1012
"""Service restart, in the IANA registry of close codes: come back in a moment."""
_CLOSE_S: Final = 2.0


class WebSocket:
    """Handler of a client, and the `Wire` of its `Connection`."""

    __slots__ = ("_client", "_closing", "_connection", "_frames", "_late_bytes")

    def __init__(self, client: Client, services: Services, answer: Answer) -> None:
        """Send the handshake's answer and go on from there."""
        self._client = client
        self._frames = protocol.WebSocketProtocol(MAX_FRAME_BYTES)
        self._closing = False
        self._late_bytes = 0
        self._connection: Connection | None = None
        client.handler = self
        client.queue(answer.data)
        if answer.principal is not None:
            self._connection = Connection(self, services, answer.principal)
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
        if self._closing:
            # For the close frame's answer; a client that goes on all the same is cut off.
            self._late_bytes += len(data)
            if self._late_bytes > MAX_FRAME_BYTES:
                client.abort()
                return
        connection = self._connection
        for event in self._frames.receive(data):
            if type(event) is str:
                if connection is not None:
                    connection.receive(event)
            elif isinstance(event, protocol.Ping):
                client.queue(protocol.pong(event.payload))
            elif isinstance(event, protocol.Closed):
                if not self._closing:
                    self._closing = True
                    client.queue(protocol.close(event.code))
                client.close()
            elif isinstance(event, protocol.Violation):
                if connection is None:
                    client.abort()
                else:
                    connection.end(event.code, event.reason)
            elif isinstance(event, protocol.Binary) and connection is not None:
                connection.receive_binary()

    def drained(self, client: Client) -> None:
        """As `Handler.drained`."""
        if self._connection is not None:
            self._connection.drained()

    def lost(self, client: Client) -> None:
        """As `Handler.lost`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost()

    def ping(self) -> None:
        """Ask whether somebody is there."""
        self._client.queue(protocol.ping())

    def go_away(self) -> None:
        """kefu stops."""
        if self._connection is not None:
            self._connection.end(CLOSE_GOING_AWAY, "kefu restarts; come back in a moment")
        else:
            self._client.abort()
