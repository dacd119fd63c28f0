"""Another process's end of the command socket: `Core` at a distance."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from application.ports.core import Receipt, Request
from application.ports.views import ConversationRow
from application.queries.core import ANSWER_TYPES, ConversationAsOf, CoreQuery
from domain.errors import Busy, InvalidInput, Unavailable
from infrastructure.ipc.protocol import (
    Call,
    FrameBuffer,
    Reply,
    decode_replies,
    encode,
    frame,
    to_error,
    to_failure,
)

_ANSWER_TYPES: Final[dict[type[Any], Any]] = {**ANSWER_TYPES, ConversationAsOf: ConversationRow}
_DECODERS: Final = {
    query: msgspec.msgpack.Decoder(answer).decode for query, answer in _ANSWER_TYPES.items()
}
_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 0.25
"""A core that starts again is a second away, and a failed connect to a socket costs nothing."""
Done = Callable[[Any], None]
"""Told the receipt or the answer of a call, or its `KefuError`."""
Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[Any, Any]]]
"""Connects a new protocol to the core, as the event loop's `create_unix_connection` does.

Raises:
    OSError: the core is not there.
"""
_GONE: Final = "The core is not reachable at the moment; send the command again."


class CoreClient:
    """`Core` over a stream, reconnecting in the background for as long as it is open.

    While there is no connection every call fails at once with `Unavailable`; calls that were under
    way when the connection broke fail with it too, and may or may not have been executed.

    Args:
        core: Path of the core's Unix socket, or how else to connect to it.
        max_calls: That may be under way.
    """

    def __init__(self, core: Path | Connect, *, max_calls: int = 20_000) -> None:
        self._connect = _over_socket(core) if isinstance(core, Path) else core
        self._max_calls = max_calls
        self._connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    async def open(self) -> None:
        """Begin to connect; returns at once."""
        self._task = asyncio.create_task(self._stay_connected(), name="core-client")

    async def close(self) -> None:
        """Hang up; calls under way fail with `Unavailable`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._connection is not None:
            self._connection.hang_up()

    @property
    def connected(self) -> bool:
        """Whether the core is reachable now."""
        return self._connected.is_set()

    async def wait_connected(self, timeout_s: float) -> None:
        """Wait until the core is reachable.

        Raises:
            Unavailable: it is not within the time.
        """
        try:
            await asyncio.wait_for(self._connected.wait(), timeout_s)
        except TimeoutError:
            raise Unavailable(_GONE) from None

    def submit(self, request: Request, done: Done) -> None:
        """Send a command; `done` is told what came of it, once, in this event loop. What is
        submitted in one turn travels together.

        Raises:
            Unavailable, Busy: it was not sent.
        """
        self._require_connection().call(request, None, done)

    async def execute(self, request: Request) -> Receipt:
        """As `Core.execute`."""
        receipt: Receipt = await self._call(request, None)
        return receipt

    async def query(self, query: CoreQuery) -> Any:
        """As `Core.query`."""
        return _DECODERS[type(query)](await self._call(None, query))

    async def _call(self, request: Request | None, query: CoreQuery | None) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            if future.done():
                return  # the caller was cancelled
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self._require_connection().call(request, query, done)
        return await future

    def _require_connection(self) -> "_Connection":
        connection = self._connection
        if connection is None:
            raise Unavailable(_GONE)
        if len(connection.calls) >= self._max_calls:
            raise Busy("Too many commands are under way; send this one again in a moment.")
        return connection

    async def _stay_connected(self) -> None:
        delay = _FIRST_RETRY_S
        while True:
            try:
                _, connection = await self._connect(_Connection)
            except OSError:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LAST_RETRY_S)
                continue
            delay = _FIRST_RETRY_S
            self._connection = connection
            self._connected.set()
            try:
                await connection.lost
            finally:
                self._connection = None
                self._connected.clear()
                connection.hang_up()


def _over_socket(path: Path) -> Connect:
    def connect(factory: Callable[[], asyncio.Protocol]) -> Awaitable[tuple[Any, Any]]:
        loop = asyncio.get_running_loop()
        return loop.create_unix_connection(factory, str(path))

    return connect


class _Connection(asyncio.Protocol):
    """One connection; calls made in one turn of the loop leave in one frame."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.calls: dict[int, Done] = {}
        self._next_id = 0
        self._outgoing: list[Call] = []
        self._frames = FrameBuffer()
        self._transport: asyncio.Transport | None = None

    def call(self, request: Request | None, query: CoreQuery | None, done: Done) -> None:
        """Queue a call for the next frame."""
        id = self._next_id = self._next_id + 1
        self.calls[id] = done
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(Call(id, request, query))

    def hang_up(self) -> None:
        """Close; every call under way fails."""
        if self._transport is not None:
            self._transport.close()
        self._fail_all()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail_all()
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            for reply in decode_replies(body):
                self._settle(reply)

    def _settle(self, reply: Reply) -> None:
        done = self.calls.pop(reply.id, None)
        if done is None:
            return  # the peer answered twice
        if reply.failure is not None:
            done(to_error(reply.failure))
        elif reply.receipt is not None:
            done(reply.receipt)
        else:
            done(reply.answer)

    def _flush(self) -> None:
        calls, self._outgoing = self._outgoing, []
        if self._transport is None or not calls:
            return
        try:
            data = frame(calls)
        except UnicodeEncodeError:
            # A lone surrogate (RFC 3629 section 3), which JSON lets through, in one of the calls:
            # that one is refused, and those that share its frame must not suffer.
            calls = [call for call in calls if self._is_text(call)]
            data = frame(calls)
        self._transport.write(data)

    def _is_text(self, call: Call) -> bool:
        try:
            encode(call)
        except UnicodeEncodeError:
            refused = InvalidInput("The request holds characters that no text may hold.")
            self._settle(Reply(call.id, failure=to_failure(refused)))
            return False
        return True

    def _fail_all(self) -> None:
        calls, self.calls = self.calls, {}
        for done in calls.values():
            done(Unavailable(_GONE))
