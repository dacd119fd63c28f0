"""One connection: performs its session's effects on hub, core and views.

What carries the bytes is a `Wire`. Nothing here blocks; a replay is a task.
"""

import asyncio
from functools import partial
from typing import Any, Final, Protocol

from application.ports.core import Receipt, Request
from application.ports.system import Clock
from application.ports.views import Views, WantedPage
from application.queries.core import Principal
from domain.errors import ConversationNotFound, KefuError
from interfaces.authentication import Authenticator
from interfaces.gateway import frames
from interfaces.gateway.addresses import AllowedOrigins
from interfaces.gateway.hub import LiveHub
from interfaces.gateway.inbox import Inbox
from interfaces.gateway.session import (
    CLOSE_TRY_AGAIN,
    CLOSE_UNAUTHENTICATED,
    Close,
    Effect,
    Execute,
    Follow,
    FollowInbox,
    Record,
    Reply,
    Session,
    Tell,
    Unfollow,
)
from interfaces.gateway.subscription import Subscription
from interfaces.shapes import message as message_shape

MAX_OUTPUT_BYTES: Final = 1024 * 1024
"""That may wait for a client; beyond it the connection is closed."""
ROOM_BYTES: Final = 128 * 1024
"""A replay waits while more than this is to be written, so that it never counts as too slow."""
_VIEWS_WAIT_S: Final = 5.0
_DAY_S: Final = 86_400


class Wire(Protocol):
    """What carries a connection's frames."""

    def write(self, frame: bytes) -> int:
        """Queue a text frame; how many bytes wait for the client now."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close."""


class CommandSink(Protocol):
    """Where commands go."""

    def submit(self, request: Request, done: Any) -> None:
        """As `CoreConnection.submit`."""


class Services(Protocol):
    """What a connection works on."""

    @property
    def hub(self) -> LiveHub: ...

    @property
    def core(self) -> CommandSink: ...

    @property
    def views(self) -> Views: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def origins(self) -> AllowedOrigins: ...

    @property
    def authenticator(self) -> Authenticator: ...


class Connection:
    """A listener of the hub. Call `lost` when the wire is gone, whoever ended it.

    Most connections are idle visitors, so what few of them need is made when it is needed.
    """

    __slots__ = (
        "__weakref__",
        "_core",
        "_ended",
        "_expiry",
        "_hub",
        "_inbox",
        "_replays",
        "_room",
        "_session",
        "_subscriptions",
        "_views",
        "_wire",
        "staff",
        "subject_id",
        "token_id",
    )

    def __init__(self, wire: Wire, services: Services, principal: Principal) -> None:
        self.token_id = principal.token_id
        self.subject_id = principal.actor.id
        self._wire = wire
        self._hub = services.hub
        self._core = services.core
        self._views = services.views
        self._session = Session(principal)
        self.staff = self._session.staff
        self._ended = False
        self._subscriptions: dict[str, Subscription] = {}
        self._replays: dict[Subscription, asyncio.Task[None]] = {}
        self._room: asyncio.Event | None = None
        """Not set while there is much to write, and replays must wait; None: that never was."""
        self._inbox: Inbox | None = None
        self._hub.join(self)
        self._hub.presence.arrived(principal.actor)
        self._expiry = self._watch_expiry(principal.expires_us, services.clock)

    def receive(self, text: str) -> None:
        """A text message from the client."""
        self._hub.stats.frames_in += 1
        if not self._ended:
            self._perform(self._session.receive(text))

    def receive_binary(self) -> None:
        """A binary message from the client."""
        self._hub.stats.frames_in += 1
        self._perform(self._session.receive_binary())

    def emit(self, frame: bytes) -> None:
        """As `Listener.emit`."""
        if self._ended:
            return
        self._hub.stats.frames_out += 1
        waiting = self._wire.write(frame)
        if waiting > MAX_OUTPUT_BYTES:
            self.end(CLOSE_TRY_AGAIN, "too slow; come back and go on after your last seq")
        elif waiting > ROOM_BYTES:
            if self._room is None:
                self._room = asyncio.Event()
            self._room.clear()

    def drained(self) -> None:
        """The wire has little to write now."""
        if self._room is not None and not self._room.is_set():
            self._room.set()
            if self._inbox is not None:
                self._inbox.resume()

    def end(self, code: int, reason: str) -> None:
        """As `Listener.end`."""
        if not self._ended:
            self._ended = True
            self._hub.stats.errors[str(code)] += 1
            self._wire.close(code, reason)

    def lost(self) -> None:
        """The wire is gone."""
        self._ended = True
        if self._expiry is not None:
            self._expiry.cancel()
        for conversation_id in list(self._subscriptions):
            self._unfollow(conversation_id)
        self._hub.leave(self)
        self._hub.presence.left(self._session.principal.actor)

    def _has_room(self) -> bool:
        return self._room is None or self._room.is_set()

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
                    if self._inbox is None:
                        self._inbox = Inbox(self.emit, self._has_room)
                    self._hub.subscribe_inbox(self._inbox, self)
                case Tell(conversation_id=conversation_id, frame=frame):
                    self._hub.tell(conversation_id, frame, self)
                case Record():
                    self._record(effect)
                case Close():
                    self.end(effect.code, effect.reason)

    def _execute(self, effect: Execute) -> None:
        actor = self._session.principal.actor
        request = Request(effect.command, actor, effect.ref or "cursor")
        try:
            self._core.submit(request, partial(self._executed, effect))
        except KefuError as error:
            self._executed(effect, error)

    def _record(self, effect: Record) -> None:
        request = Request(effect.command, self._session.principal.actor, effect.command.what)
        try:
            self._core.submit(request, partial(self._recorded, effect))
        except KefuError as error:
            self._recorded(effect, error)

    def _recorded(self, effect: Record, outcome: Receipt | KefuError) -> None:
        if not self._ended:
            self._perform(self._session.recorded(effect, outcome))

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
        task = asyncio.create_task(self._replay(subscription, upto, effect.presence))
        self._replays[subscription] = task
        task.add_done_callback(lambda _: self._replays.pop(subscription, None))

    def _unfollow(self, conversation_id: str) -> None:
        subscription = self._subscriptions.pop(conversation_id, None)
        if subscription is not None:
            self._hub.unsubscribe(subscription)
            replay = self._replays.pop(subscription, None)
            if replay is not None and replay is not asyncio.current_task():
                replay.cancel()

    async def _replay(self, subscription: Subscription, upto: int, presence: bool) -> None:
        views, id = self._views, subscription.conversation_id
        try:
            await views.wait_for(upto, _VIEWS_WAIT_S)
            conversation = await views.conversation(id) if self._session.staff else None
            if self._session.staff and conversation is None:
                raise ConversationNotFound(id)
            more = True
            while more:
                wanted = WantedPage(id, subscription.last_seq, subscription.staff)
                rows, more = await self._hub.replays.page(wanted)
                for row in rows:
                    if self._room is not None:
                        await self._room.wait()
                    frame = frames.encode({"type": "message", **message_shape(row)})
                    subscription.replayed(row.seq, frame)
        except KefuError as error:
            if self._subscriptions.get(id) is subscription:
                self._unfollow(id)
                self._session.following.pop(id, None)
            self.emit(frames.error(error.code, error.detail))
            return
        subscription.finish_replay()
        last_seq = subscription.last_seq
        self.emit(
            frames.encode({"type": "subscribed", "conversation_id": id, "last_seq": last_seq})
        )
        if presence and conversation is not None:
            self._hub.presence.watch(subscription, conversation.contact.id)

    def _watch_expiry(self, expires_us: int | None, clock: Clock) -> asyncio.TimerHandle | None:
        if expires_us is None:
            return None
        seconds = max(0.0, (expires_us - clock.now_us()) / 1e6)
        loop = asyncio.get_running_loop()
        if seconds > _DAY_S:  # looked at again then, by the wall clock as it is then
            return loop.call_later(_DAY_S, self._expiry_in_sight, expires_us, clock)
        return loop.call_later(seconds, self.end, CLOSE_UNAUTHENTICATED, "token-expired")

    def _expiry_in_sight(self, expires_us: int, clock: Clock) -> None:
        self._expiry = self._watch_expiry(expires_us, clock)
