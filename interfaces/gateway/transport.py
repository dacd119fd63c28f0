"""`/ws` in uvicorn's event loop: handshake, frames and keepalive of one connection.

uvicorn hands an upgrade request over to this protocol instead of one of its own: through ASGI a
message passes a queue, a task and four wrappers each way, which took two thirds of the web role's
time. The rules of frames are in `interfaces.gateway.protocol`, those of the session in
`interfaces.gateway.connection`.
"""

import asyncio
from functools import partial
from typing import Any, Final, cast

from interfaces.gateway import protocol
from interfaces.gateway.connection import ROOM_BYTES, Connection, Services
from interfaces.gateway.handshake import Answer, Handshake, Offer
from interfaces.gateway.session import CLOSE_GOING_AWAY, MAX_FRAME_BYTES

_CLOSE_S: Final = 2.0
_KEEPALIVE_S: Final = 20.0


def transport_for(services: Services) -> Any:
    """What uvicorn takes as its `ws` protocol class."""
    return partial(_for_uvicorn, services)


def _for_uvicorn(
    services: Services, config: Any, server_state: Any, app_state: Any
) -> "WebSocketTransport":
    return WebSocketTransport(services, server_state.connections)


class WebSocketTransport(asyncio.Protocol):
    """One connection, from its upgrade request on; the `Wire` of a `Connection`."""

    def __init__(self, services: Services, connections: set[Any]) -> None:
        self._services = services
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._handshake: Handshake | None = Handshake(services.origins)
        self._frames = protocol.WebSocketProtocol(MAX_FRAME_BYTES)
        self._connection: Connection | None = None
        self._authentication: asyncio.Task[None] | None = None
        self._early = b""
        """What a client sent before it was let in."""
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._paused = False
        self._closing = False
        self._late_bytes = 0
        self._heard = True
        self._timer: asyncio.TimerHandle | None = None

    # asyncio.Protocol, and `shutdown`, which uvicorn calls when it stops.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=ROOM_BYTES)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        for waiting in (self._timer, self._authentication):
            if waiting is not None:
                waiting.cancel()
        if self._connection is not None:
            self._connection.lost()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._connection is not None:
            self._connection.drained()

    def shutdown(self) -> None:
        if self._connection is not None:
            self._connection.end(CLOSE_GOING_AWAY, "kefu restarts; come back in a moment")
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._closing:
            # For the close frame's answer; a client that goes on all the same is cut off.
            self._late_bytes += len(data)
            if self._late_bytes > MAX_FRAME_BYTES:
                self._transport.abort()
            else:
                self._take(data)
        elif self._connection is not None:
            self._take(data)
        elif self._handshake is not None:
            self._shake_hands(self._handshake, data)
        else:
            self._early += data
            if len(self._early) > MAX_FRAME_BYTES:
                self._transport.abort()

    # Wire.

    def write(self, frame: bytes) -> int:
        if not self._output:
            self._loop.call_soon(self._flush)
        length = len(frame)
        self._output += (protocol.text_header(length), frame)
        self._output_bytes += length
        if self._paused:
            return self._output_bytes + self._transport.get_write_buffer_size()
        return self._output_bytes

    def close(self, code: int, reason: str) -> None:
        """The close frame goes out behind what is being written. A client that reads nothing would
        hold that up for ever: then the connection is just dropped.
        """
        if self._closing:
            return
        self._closing = True
        self._send_now(protocol.close(code, reason))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_CLOSE_S, self._transport.abort)

    def _flush(self) -> None:
        output, self._output, self._output_bytes = self._output, [], 0
        if output and not self._transport.is_closing():
            self._transport.write(b"".join(output))
        if not self._paused and self._connection is not None:
            self._connection.drained()

    def _send_now(self, frame: bytes) -> None:
        self._flush()
        if not self._transport.is_closing():
            self._transport.write(frame)

    # Frames.

    def _take(self, data: bytes) -> None:
        connection = self._connection
        for event in self._frames.receive(data):
            if type(event) is str:
                if connection is not None:
                    connection.receive(event)
            elif isinstance(event, protocol.Ping):
                self._send_now(protocol.pong(event.payload))
            elif isinstance(event, protocol.Closed):
                if not self._closing:
                    self._closing = True
                    self._send_now(protocol.close(event.code))
                self._transport.close()
            elif isinstance(event, protocol.Violation):
                self._violated(event)
            elif isinstance(event, protocol.Binary) and connection is not None:
                connection.receive_binary()

    def _violated(self, event: protocol.Violation) -> None:
        if self._connection is not None:
            self._connection.end(event.code, event.reason)
        else:
            self._transport.abort()

    def _keep_alive(self) -> None:
        """A peer that says nothing is asked; one that does not answer has gone."""
        if not self._heard:
            self._transport.abort()
            return
        self._heard = False
        self._send_now(protocol.ping())
        self._timer = self._loop.call_later(_KEEPALIVE_S, self._keep_alive)

    # Handshake.

    def _shake_hands(self, handshake: Handshake, data: bytes) -> None:
        found = handshake.receive(data)
        if isinstance(found, Offer):
            self._handshake = None
            self._authentication = asyncio.create_task(self._let_in(handshake, found))
        elif found is not None:
            self._refuse(found)

    async def _let_in(self, handshake: Handshake, offer: Offer) -> None:
        answer = await handshake.let_in(offer, self._services.authenticator)
        if answer.principal is None and answer.close is None:
            self._refuse(answer)
            return
        self._transport.write(answer.data)
        if answer.close is not None:
            self.close(*answer.close)
            return
        assert answer.principal is not None
        self._connection = Connection(self, self._services, answer.principal)
        self._timer = self._loop.call_later(_KEEPALIVE_S, self._keep_alive)
        early, self._early = self._early, b""
        if early:
            self._take(early)

    def _refuse(self, answer: Answer) -> None:
        self._handshake = None
        self._closing = True
        if answer.data:
            self._transport.write(answer.data)
            self._transport.close()
        else:
            self._transport.abort()
