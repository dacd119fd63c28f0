"""WebSocket clients of other libraries behind one face, for tests of interoperation."""

import asyncio
import json
from typing import Any, Protocol

import picows
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

PROTOCOL = "kefu.v1"


class Client(Protocol):
    """What the tests do with a client."""

    async def open(self, port: int, secret: str) -> str | None:
        """Connect; the subprotocol that was agreed on."""

    async def send(self, *parts: str) -> None:
        """One text message, each part in a frame of its own."""

    async def receive(self) -> str:
        """The next text message."""

    async def ping(self, payload: bytes) -> None:
        """Send a ping and wait for the pong with its payload."""

    async def close(self, code: int) -> int | None:
        """Close; the code with which the server closed."""

    async def closed(self) -> int | None:
        """Wait until the server closes; with which code."""

    def drop(self) -> None:
        """Be gone, whatever the state."""


class Websockets:
    """`websockets`, with its own settings: it offers compression."""

    _socket: ClientConnection

    async def open(self, port: int, secret: str) -> str | None:
        self._socket = await connect(
            f"ws://127.0.0.1:{port}/ws",
            subprotocols=[PROTOCOL],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Bearer {secret}"},
        )
        return self._socket.subprotocol

    async def send(self, *parts: str) -> None:
        await self._socket.send(iter(parts) if len(parts) > 1 else parts[0])

    async def receive(self) -> str:
        return str(await self._socket.recv())

    async def ping(self, payload: bytes) -> None:
        await (await self._socket.ping(payload))

    async def close(self, code: int) -> int | None:
        await self._socket.close(code)
        return self._socket.close_code

    async def closed(self) -> int | None:
        try:
            while True:
                await self._socket.recv()
        except ConnectionClosed:
            return self._socket.close_code

    def drop(self) -> None:
        self._socket.transport.abort()


class Wsproto:
    """`wsproto` over asyncio's streams; it offers compression."""

    def __init__(self) -> None:
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []
        self._subprotocol: str | None = None

    async def open(self, port: int, secret: str) -> str | None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        request = Request(
            host=f"127.0.0.1:{port}",
            target="/ws",
            subprotocols=[PROTOCOL],
            extensions=[PerMessageDeflate()],
            extra_headers=[(b"Authorization", f"Bearer {secret}".encode())],
        )
        await self._write(request)
        return (await self._next(AcceptConnection)).subprotocol

    async def send(self, *parts: str) -> None:
        for part in parts[:-1]:
            await self._write(TextMessage(part, message_finished=False))
        await self._write(TextMessage(parts[-1]))

    async def receive(self) -> str:
        text = ""
        while True:
            event = await self._next(TextMessage)
            text += event.data
            if event.message_finished:
                return text

    async def ping(self, payload: bytes) -> None:
        await self._write(Ping(payload))
        assert (await self._next(Pong)).payload == payload

    async def close(self, code: int) -> int | None:
        await self._write(CloseConnection(code))
        return await self.closed(answer=False)

    async def closed(self, *, answer: bool = True) -> int | None:
        event = await self._next(CloseConnection)
        if answer:
            await self._write(event.response())
        assert await self._reader.read() == b"", "the server says no more and hangs up"
        self._writer.close()
        return int(event.code)

    def drop(self) -> None:
        self._writer.transport.abort()

    async def _write(self, event: Any) -> None:
        self._writer.write(self._protocol.send(event))
        await self._writer.drain()

    async def _next(self, kind: type[Any]) -> Any:
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, Ping):
                    await self._write(event.response())
                if isinstance(event, kind):
                    return event
            data = await self._reader.read(65536)
            self._protocol.receive_data(data or None)
            self._events += self._protocol.events()


class Picows:
    """`picows`; it offers nothing."""

    class _Listener(picows.WSListener):
        def __init__(self) -> None:
            self.texts: asyncio.Queue[str] = asyncio.Queue()
            self.pongs: asyncio.Queue[bytes] = asyncio.Queue()

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type is picows.WSMsgType.TEXT:
                self.texts.put_nowait(frame.get_payload_as_utf8_text())
            elif frame.msg_type is picows.WSMsgType.PONG:
                self.pongs.put_nowait(frame.get_payload_as_bytes())
            elif frame.msg_type is picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    _transport: picows.WSTransport

    async def open(self, port: int, secret: str) -> str | None:
        headers = {"Authorization": f"Bearer {secret}", "Sec-WebSocket-Protocol": PROTOCOL}
        self._transport, self._listener = await picows.ws_connect(
            self._Listener, f"ws://127.0.0.1:{port}/ws", extra_headers=headers
        )
        return self._transport.response.headers.get("Sec-WebSocket-Protocol")

    async def send(self, *parts: str) -> None:
        kind = picows.WSMsgType.TEXT
        for number, part in enumerate(parts, 1):
            self._transport.send(kind, part.encode(), fin=number == len(parts))
            kind = picows.WSMsgType.CONTINUATION

    async def receive(self) -> str:
        return await self._listener.texts.get()

    async def ping(self, payload: bytes) -> None:
        self._transport.send_ping(payload)
        assert await self._listener.pongs.get() == payload

    async def close(self, code: int) -> int | None:
        self._transport.send_close(picows.WSCloseCode(code))
        return await self.closed()

    async def closed(self) -> int | None:
        await self._transport.wait_disconnected()
        received = self._transport.close_handshake.recv
        return None if received is None else int(received.code)

    def drop(self) -> None:
        self._transport.disconnect(graceful=False)


CLIENTS = {"websockets": Websockets, "wsproto": Wsproto, "picows": Picows}


async def tell(client: Client, **frame: Any) -> None:
    """Send a frame of the contract."""
    await client.send(json.dumps(frame, ensure_ascii=False))


async def hear(client: Client, type: str) -> dict[str, Any]:
    """The next frame of a type."""
    async with asyncio.timeout(60):
        while True:
            frame: dict[str, Any] = json.loads(await client.receive())
            if frame["type"] == type:
                return frame
