"""`/ws` in uvicorn's event loop: handshake, frames and keepalive of one connection.

uvicorn hands an upgrade request over to this protocol instead of one of its own: through ASGI a
message passes a queue, a task and four wrappers each way, which took two thirds of the web role's
time. The rules of frames are in `interfaces.gateway.protocol`, those of the session in
`interfaces.gateway.connection`.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import structlog
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from domain.errors import KefuError, Unauthenticated
from interfaces.gateway import protocol
from interfaces.gateway.connection import ROOM_BYTES, Connection
from interfaces.gateway.session import CLOSE_TRY_AGAIN, CLOSE_UNAUTHENTICATED
from interfaces.http.authentication import bearer_token
from interfaces.http.dependencies import WebDependencies
from interfaces.http.problems import from_error

_log = structlog.get_logger(__name__)

PATH: Final = "/ws"
SUBPROTOCOL: Final = Subprotocol("kefu.v1")
MAX_FRAME_BYTES: Final = 64 * 1024
"""Contract: a longer message is closed with 1009."""
_CLOSE_GOING_AWAY: Final = 1012
"""Service restart, in the IANA registry of close codes: come back in a moment."""
_BEARER: Final = "bearer."
_CLOSE_S: Final = 2.0
_KEEPALIVE_S: Final = 20.0


def transport_for(dependencies: WebDependencies) -> Any:
    """What uvicorn takes as its `ws` protocol class."""
    return partial(WebSocketTransport, dependencies)


class WebSocketTransport(asyncio.Protocol):
    """One connection, from its upgrade request on; the `Wire` of a `Connection`.

    Any origin may connect: a bearer token is not ambient as a cookie is.
    """

    def __init__(
        self, dependencies: WebDependencies, config: Any, server_state: Any, app_state: Any
    ) -> None:
        self._deps = dependencies
        self._connections: set[Any] = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._handshake: ServerProtocol | None = ServerProtocol(select_subprotocol=_select)
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
            self._connection.end(_CLOSE_GOING_AWAY, "kefu restarts; come back in a moment")
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

    def _shake_hands(self, handshake: ServerProtocol, data: bytes) -> None:
        handshake.receive_data(data)
        for event in handshake.events_received():
            if isinstance(event, Request):
                self._requested(handshake, event)
                return
        if handshake.parser_exc is not None:
            self._transport.abort()

    def _requested(self, handshake: ServerProtocol, request: Request) -> None:
        response = handshake.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._respond(handshake, response)
            return
        url = urlsplit(request.path)
        if url.path != PATH:
            self._respond(handshake, handshake.reject(HTTPStatus.NOT_FOUND, f"Use {PATH}.\n"))
            return
        self._handshake = None
        offered = [
            one.strip()
            for header in request.headers.get_all("Sec-WebSocket-Protocol")
            for one in header.split(",")
        ]
        by_subprotocol = [p.removeprefix(_BEARER) for p in offered if p.startswith(_BEARER)]
        by_header = bearer_token(request.headers.get("Authorization", ""))
        by_query = parse_qs(url.query).get("token", [""])[0]
        secret = by_subprotocol[0] if by_subprotocol else by_header or by_query
        # A browser learns nothing of a refused handshake, so whoever came by subprotocol, as
        # browsers do, is let in and told by a close code.
        browser = bool(by_subprotocol) and SUBPROTOCOL in offered
        work = self._let_in(handshake, response, secret, browser)
        self._authentication = asyncio.create_task(work)

    async def _let_in(
        self, handshake: ServerProtocol, response: Response, secret: str, browser: bool
    ) -> None:
        try:
            principal = await self._deps.authenticator.authenticate(secret)
        except KefuError as error:
            if not browser:
                self._respond(handshake, _refusal(error))
                return
            self._respond(handshake, response)
            known = isinstance(error, Unauthenticated)
            self.close(CLOSE_UNAUTHENTICATED if known else CLOSE_TRY_AGAIN, error.code)
            return
        except Exception:  # noqa: BLE001 - a task has no caller: the client is told, and the log says why
            _log.exception("websocket.handshake_failed")
            self._respond(handshake, handshake.reject(HTTPStatus.INTERNAL_SERVER_ERROR, "\n"))
            return
        self._respond(handshake, response)
        self._connection = Connection(self, self._deps, principal)
        self._timer = self._loop.call_later(_KEEPALIVE_S, self._keep_alive)
        early, self._early = self._early, b""
        if early:
            self._take(early)

    def _respond(self, handshake: ServerProtocol, response: Response) -> None:
        self._handshake = None
        handshake.send_response(response)
        self._transport.write(b"".join(handshake.data_to_send()))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._closing = True
            self._transport.close()


def _select(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _refusal(error: KefuError) -> Response:
    """The problem document, as any route would answer it."""
    problem = from_error(error, PATH)
    headers = Headers(problem.headers.items())
    status = HTTPStatus(problem.status_code)
    return Response(status.value, status.phrase, headers, bytes(problem.body))
