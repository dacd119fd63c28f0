"""The core's end of the command socket."""

import asyncio
import os
import socket
from functools import partial
from pathlib import Path
from typing import Final, cast

import msgspec
import structlog

from application.commands.bus import CommandBus
from application.ports.core import Receipt
from domain.errors import KefuError
from infrastructure.ipc.protocol import (
    Call,
    FrameBuffer,
    ProtocolError,
    Reply,
    decode_calls,
    encode,
    frame,
    to_failure,
)

_log = structlog.get_logger(__name__)
_MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024


class CoreServer:
    """Listens on a Unix socket and passes calls to the command bus."""

    def __init__(self, bus: CommandBus) -> None:
        self._bus = bus
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self, path: Path) -> None:
        """Listen at `path` (mode 0600); a socket file that a killed core left is replaced.

        The caller holds the data directory's lock, so no other core can be listening there.
        """
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Connection(self._bus, self._connections), sock=_bind(path), backlog=64
        )

    async def close(self) -> None:
        """Stop to listen and close the connections; call after the bus is closed."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old_mask)
    return listener


class _Connection(asyncio.Protocol):
    """One peer. Replies that become ready in one turn of the loop leave in one frame."""

    def __init__(self, bus: CommandBus, connections: "set[_Connection]") -> None:
        self._bus = bus
        self._connections = connections
        self._frames = FrameBuffer()
        self._replies: list[Reply] = []
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        # Commands that were taken go on: their sender finds the result by the same ref or key.
        self._transport = None
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                for call in decode_calls(body):
                    self._take(call)
        except (ProtocolError, msgspec.MsgspecError) as error:
            _log.error("ipc.bad_frame", error=str(error))
            self.close()

    def close(self) -> None:
        """Send what is ready, then hang up."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _take(self, call: Call) -> None:
        if call.request is not None:
            try:
                self._bus.submit(call.request, partial(self._command_done, call.id))
            except KefuError as error:
                self._reply(Reply(call.id, failure=to_failure(error)))
        elif call.query is not None:
            task = asyncio.create_task(self._answer(call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _command_done(self, id: int, outcome: Receipt | Exception) -> None:
        if isinstance(outcome, Exception):
            if not isinstance(outcome, KefuError):
                _log.error("core.command_failed", exc_info=outcome)
            self._reply(Reply(id, failure=to_failure(outcome)))
        else:
            self._reply(Reply(id, receipt=outcome))

    async def _answer(self, call: Call) -> None:
        assert call.query is not None
        try:
            answer = await self._bus.query(call.query)
        except Exception as error:  # noqa: BLE001 - goes to the caller; a bug is logged as well
            if not isinstance(error, KefuError):
                _log.error("core.query_failed", exc_info=error)
            self._reply(Reply(call.id, failure=to_failure(error)))
        else:
            self._reply(Reply(call.id, answer=encode(answer)))

    def _reply(self, reply: Reply) -> None:
        if not self._replies:
            asyncio.get_running_loop().call_soon(self._flush)
        self._replies.append(reply)

    def _flush(self) -> None:
        replies, self._replies = self._replies, []
        if not replies or self._transport is None:
            return
        self._transport.write(frame(replies))
        if self._transport.get_write_buffer_size() > _MAX_OUTPUT_BYTES:
            _log.error("ipc.slow_reader", buffered=self._transport.get_write_buffer_size())
            self._transport.abort()
