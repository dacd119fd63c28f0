"""`/ws` on uvicorn's WebSocket: carries the session logic of `interfaces.gateway`."""

import asyncio
from functools import partial
from typing import Final

import structlog
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from application.ports.core import Receipt, Request
from application.queries.core import Principal
from domain.errors import ConversationNotFound, KefuError, Unauthenticated
from interfaces.gateway import frames
from interfaces.gateway.inbox import Inbox
from interfaces.gateway.session import (
    CLOSE_TRY_AGAIN,
    CLOSE_UNAUTHENTICATED,
    Close,
    Effect,
    Execute,
    Follow,
    FollowInbox,
    Reply,
    Session,
    Tell,
    Unfollow,
)
from interfaces.gateway.subscription import Subscription
from interfaces.http.authentication import bearer
from interfaces.http.dependencies import WebDependencies
from interfaces.http.problems import from_error
from interfaces.shapes import message as message_shape

_log = structlog.get_logger(__name__)

SUBPROTOCOL: Final = "kefu.v1"
_BEARER: Final = "bearer."
_MAX_OUTPUT_BYTES: Final = 1024 * 1024
_REPLAY_PAGE: Final = 200
_REPLAY_BYTES: Final = 128 * 1024
"""A replay waits while more than this is to be written, so that it never counts as too slow."""
_CLOSE_S: Final = 2.0
_VIEWS_WAIT_S: Final = 5.0

router = APIRouter()


@router.websocket("/ws")
async def websocket(socket: WebSocket) -> None:
    """One connection. Any origin may connect: tokens are not ambient as cookies are."""
    deps: WebDependencies = socket.app.state.dependencies
    offered = [p.strip() for p in socket.headers.get("sec-websocket-protocol", "").split(",")]
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
    by_subprotocol = [p.removeprefix(_BEARER) for p in offered if p.startswith(_BEARER)]
    secret = by_subprotocol[0] if by_subprotocol else bearer(socket)
    try:
        principal = await deps.authenticator.authenticate(
            secret or socket.query_params.get("token", "")
        )
    except KefuError as error:
        await _refuse(socket, error, subprotocol if by_subprotocol else None)
        return
    await socket.accept(subprotocol)
    await _Connection(socket, deps, principal).run()


async def _refuse(socket: WebSocket, error: KefuError, subprotocol: str | None) -> None:
    """A browser learns nothing of a refused handshake, so whoever came by subprotocol, as browsers
    do, is let in and told by a close code.
    """
    if subprotocol is None:
        await socket.send_denial_response(from_error(error, "/ws"))
        return
    await socket.accept(subprotocol)
    known = isinstance(error, Unauthenticated)
    await socket.close(CLOSE_UNAUTHENTICATED if known else CLOSE_TRY_AGAIN, error.code)


class _Connection:
    """Performs a session's effects; one task reads, one writes."""

    def __init__(self, socket: WebSocket, deps: WebDependencies, principal: Principal) -> None:
        self.token_id = principal.token_id
        self.subject_id = principal.actor.id
        self._socket = socket
        self._deps = deps
        self._hub = deps.hub
        self._session = Session(principal)
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._wake = asyncio.Event()
        self._closing: Close | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._replays: dict[Subscription, asyncio.Task[None]] = {}
        self._room = asyncio.Event()
        """Set while there is little to write: a replay may go on."""
        self._room.set()
        self._inbox = Inbox(self.emit, self._room.is_set)
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Until either side closes."""
        loop = asyncio.get_running_loop()
        self._hub.join(self)
        expiry = self._watch_expiry(loop)
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((reader, ended), return_when=asyncio.FIRST_COMPLETED)
            if self._closing is not None:
                # The close frame goes out behind what is being written. A client that reads
                # nothing would hold that up for ever: then the connection is just dropped.
                await asyncio.wait((writer,), timeout=_CLOSE_S)
        finally:
            if expiry is not None:
                expiry.cancel()
            for conversation_id in list(self._subscriptions):
                self._unfollow(conversation_id)
            self._hub.leave(self)
            for task in (reader, writer, ended):
                task.cancel()
        if reader.done() and not reader.cancelled():
            reader.result()

    def emit(self, frame: bytes) -> None:
        """As `Listener.emit`."""
        if self._closing is not None:
            return
        self._output.append(frame)
        self._output_bytes += len(frame)
        if self._output_bytes > _MAX_OUTPUT_BYTES:
            self.end(CLOSE_TRY_AGAIN, "too slow; come back and go on after your last seq")
        elif self._output_bytes > _REPLAY_BYTES:
            self._room.clear()
        self._wake.set()

    def end(self, code: int, reason: str) -> None:
        """As `Listener.end`."""
        self._closing = self._closing or Close(code, reason)
        self._wake.set()
        self._ended.set()

    async def _read(self) -> None:
        stats, session = self._hub.stats, self._session
        while self._closing is None:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            stats.frames_in += 1
            text = message.get("text")
            self._perform(session.receive(text) if text is not None else session.receive_binary())

    async def _write(self) -> None:
        stats = self._hub.stats
        while True:
            await self._wake.wait()
            self._wake.clear()
            output, self._output = self._output, []
            try:
                for frame in output:
                    await self._socket.send_text(frame.decode())
                    self._output_bytes -= len(frame)
                stats.frames_out += len(output)
                if self._output_bytes <= _REPLAY_BYTES:
                    self._room.set()
                    self._inbox.resume()
                if self._closing is not None:
                    await self._close(self._closing)
                    return
            except (WebSocketDisconnect, RuntimeError):
                return  # the reader sees the disconnect and cleans up

    async def _close(self, close: Close) -> None:
        self._hub.stats.errors[str(close.code)] += 1
        try:
            await self._socket.close(close.code, close.reason)
        except RuntimeError:
            return  # the client was first

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Execute():
                    self._execute(effect)
                case Reply(frame=frame):
                    self.emit(frame)
                case Follow():
                    self._follow(effect)
                case Unfollow(conversation_id=conversation_id):
                    self._unfollow(conversation_id)
                case FollowInbox():
                    self._hub.subscribe_inbox(self._inbox, self)
                case Tell(conversation_id=conversation_id, frame=frame):
                    self._hub.tell(conversation_id, frame, self)
                case Close():
                    self.end(effect.code, effect.reason)

    def _execute(self, effect: Execute) -> None:
        actor = self._session.principal.actor
        request = Request(effect.command, actor, effect.ref or "cursor")
        try:
            self._deps.core.submit(request, partial(self._executed, effect))
        except KefuError as error:
            self._executed(effect, error)

    def _executed(self, effect: Execute, outcome: Receipt | KefuError) -> None:
        if isinstance(outcome, KefuError):
            self._hub.stats.errors[outcome.code] += 1
        self._perform(self._session.executed(effect, outcome))

    def _follow(self, effect: Follow) -> None:
        self._unfollow(effect.conversation_id)
        subscription = Subscription(
            effect.conversation_id, effect.after_seq, self.emit, staff=self._session.staff
        )
        self._subscriptions[effect.conversation_id] = subscription
        upto = self._hub.subscribe(subscription, self)
        task = asyncio.create_task(self._replay(subscription, upto))
        self._replays[subscription] = task
        task.add_done_callback(lambda _: self._replays.pop(subscription, None))

    def _unfollow(self, conversation_id: str) -> None:
        subscription = self._subscriptions.pop(conversation_id, None)
        if subscription is not None:
            self._hub.unsubscribe(subscription)
            replay = self._replays.pop(subscription, None)
            if replay is not None and replay is not asyncio.current_task():
                replay.cancel()

    async def _replay(self, subscription: Subscription, upto: int) -> None:
        views, id = self._deps.views, subscription.conversation_id
        try:
            await views.wait_for(upto, _VIEWS_WAIT_S)
            if self._session.staff and await views.conversation(id) is None:
                raise ConversationNotFound(id)
            while True:
                rows = await views.messages(
                    id,
                    after_seq=subscription.last_seq,
                    limit=_REPLAY_PAGE,
                    include_private=subscription.staff,
                )
                for row in rows:
                    await self._room.wait()
                    frame = frames.encode({"type": "message", **message_shape(row)})
                    subscription.replayed(row.seq, frame)
                if len(rows) < _REPLAY_PAGE:
                    break
        except KefuError as error:
            if self._subscriptions.get(id) is subscription:
                self._unfollow(id)
                self._session.following.discard(id)
            self.emit(frames.error(error.code, error.detail))
            return
        subscription.finish_replay()
        self.emit(
            frames.encode(
                {
                    "type": "subscribed",
                    "conversation_id": id,
                    "last_seq": subscription.last_seq,
                }
            )
        )

    def _watch_expiry(self, loop: asyncio.AbstractEventLoop) -> asyncio.TimerHandle | None:
        expires_us = self._session.principal.expires_us
        if expires_us is None:
            return None
        seconds = (expires_us - self._deps.clock.now_us()) / 1e6
        # A timer of more than a day is set again by the reconnect that comes before it.
        return loop.call_later(
            min(max(seconds, 0), 86400),
            lambda: self.end(CLOSE_UNAUTHENTICATED, "token-expired") if seconds <= 86400 else None,
        )
