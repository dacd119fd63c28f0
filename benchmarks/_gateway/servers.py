"""Echo servers, one a process: `python -m benchmarks._gateway.servers kefu|uvicorn PORT`.

Both answer each text message with itself. `kefu` is the product's epoll loop, protocol reader and
handshake; only who is let in (everybody) and what a message means (an echo) differ.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvloop

from interfaces.gateway import protocol
from interfaces.gateway.client import Client
from interfaces.gateway.handshake import Handshake, Offer
from interfaces.gateway.server import Gateway
from interfaces.gateway.session import MAX_FRAME_BYTES
from interfaces.settings import load
from interfaces.workers import garbage
from interfaces.workers.gateway import listen


class _Echo:
    """Handler of a client behind its handshake."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames = protocol.WebSocketProtocol(MAX_FRAME_BYTES)

    def received(self, client: Client, data: bytes) -> None:
        for event in self._frames.receive(data):
            if type(event) is str:
                body = event.encode()
                client.queue(protocol.text_header(len(body)), body)
            elif isinstance(event, protocol.Ping):
                client.queue(protocol.pong(event.payload))
            elif isinstance(event, protocol.Closed | protocol.Violation):
                client.queue(protocol.close(event.code))
                client.close()

    def drained(self, client: Client) -> None:
        pass

    def lost(self, client: Client) -> None:
        pass


class _EchoGateway(Gateway):
    def _shake_hands(self, client: Client, head: bytes, early: bytes) -> None:
        handshake = Handshake()
        found = handshake.receive(head)
        if not isinstance(found, Offer):
            client.abort()
            return
        del self._heads[client]
        self.limits.handshakes.end(client.id)
        client.handler = _Echo()
        client.queue(handshake.accepted(found))


async def _kefu(port: int) -> None:
    services: Any = None  # nobody is asked for anything
    relay: Any = None
    settings = load({}, admissions_per_s=0.0, connections_per_address=0)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    gateway = _EchoGateway(services, relay, settings)
    gateway.listen(listen("127.0.0.1", port))
    print("up", flush=True)
    await stop.wait()


def _uvicorn(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI, WebSocket, WebSocketDisconnect

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        print("up", flush=True)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="error",
        backlog=8192,
    )


def main() -> None:
    """Serve until SIGTERM."""
    kind, port = sys.argv[1], int(sys.argv[2])
    garbage.collect_less_often()
    if kind == "kefu":
        uvloop.run(_kefu(port))
    else:
        _uvicorn(port)


if __name__ == "__main__":
    main()
