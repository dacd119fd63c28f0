"""The hub: follows the end of the log in the web's event loop and tells subscribed sessions.

A message's frame is encoded once, whoever gets it. What needs a row of the views (changes of the
conversation list) is collected for a moment and read together.
"""

import asyncio
from collections import defaultdict
from typing import Any, Final

import structlog

from application.codec import Envelope
from application.local_bus import LocalBus
from application.ports.event_store import EventFeed, RecordedEvent
from application.ports.live_bus import LiveBus
from application.ports.views import Views
from application.sealing import IN_CLEAR, Opener
from domain.access.events import TokenRevoked
from domain.agent.events import AgentDeactivated, AgentRoleChanged
from domain.contact.events import SubjectErased
from domain.conversation.events import DeliveryCursorMoved, ReadCursorMoved
from domain.errors import InfrastructureError, Unavailable
from domain.message.events import MessageEdited, MessageRecalled, MessageSent
from interfaces import shapes
from interfaces.gateway import frames
from interfaces.gateway.inbox import Inbox
from interfaces.gateway.listeners import Forgetful, Listener
from interfaces.gateway.live_stats import LiveStats
from interfaces.gateway.presence import OFFLINE, ONLINE, Presence
from interfaces.gateway.refund_updates import refund_frames
from interfaces.gateway.replays import Replays
from interfaces.gateway.row_updates import VIEWS_WAIT_S, conversation_of, tell_updates
from interfaces.gateway.subscription import Subscription

_log = structlog.get_logger(__name__)

_SLICE: Final = 500
"""Events handled before other work of the event loop gets its turn."""
_POLL_S: Final = 0.1
"""The file watch wakes the hub; this is for systems without one."""
_INBOX_S: Final = 0.25
_IDENTITY: Final = ("token.revoked.", "agent.", "contact.erased.")
"""Types of what ends sessions, or takes back keys."""
_REFUNDS: Final = ("refund", "saga")
"""Streams with the ids of refunds; a saga of another definition has none of them."""
_UNWATCHED: Final = tuple(f"{family}*" for family in _IDENTITY)


class LiveHub:
    """Subscriptions of one process, and the log's end."""

    def __init__(
        self,
        feed: EventFeed,
        views: Views,
        identities: Forgetful,
        bus: LiveBus | None = None,
        opener: Opener = IN_CLEAR,
    ) -> None:
        self.stats = LiveStats()
        self.bus: LiveBus = LocalBus() if bus is None else bus
        self.presence = Presence(self.bus)
        self.views = views
        self.replays = Replays(views)
        self.position = 0
        """Everything up to here was told to whoever was subscribed then."""
        self._feed = feed
        self._identities = identities
        self._opener = opener
        self._listeners: set[Listener] = set()
        self._subscriptions: dict[str, dict[Subscription, Listener]] = defaultdict(dict)
        self._inboxes: dict[Listener, Inbox] = {}
        self._changed: set[str] = set()
        self._refunds: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False

    async def open(self) -> None:
        """Follow the log from its end."""
        loop = asyncio.get_running_loop()
        self.position = self._feed.durable_position()
        loop.add_reader(self._feed.fileno(), self._readable)
        self._tick()
        self._spawn(self._tell_inbox_forever())
        await self.bus.open(self)
        self._spawn(self.presence.run())

    async def close(self) -> None:
        """Stop; connections are closed by the server."""
        asyncio.get_running_loop().remove_reader(self._feed.fileno())
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.close()
        self._feed.close()

    def lag(self) -> int:
        """Durable events that were not looked at yet."""
        return max(0, self._feed.durable_position() - self.position)

    def join(self, listener: Listener) -> None:
        """A connection is there."""
        self._listeners.add(listener)
        self.stats.connections += 1
        self.stats.opened += 1

    def leave(self, listener: Listener) -> None:
        """A connection has gone."""
        self._listeners.discard(listener)
        self._inboxes.pop(listener, None)
        self.stats.connections -= 1

    def subscribe(self, subscription: Subscription, listener: Listener) -> int:
        """Tell the subscription everything from now on.

        Returns:
            The position up to which the replay must reach.
        """
        self._subscriptions[subscription.conversation_id][subscription] = listener
        self.bus.subscribe(subscription.conversation_id)
        return self.position

    def unsubscribe(self, subscription: Subscription) -> None:
        """No more."""
        found = self._subscriptions.get(subscription.conversation_id)
        if found is not None:
            found.pop(subscription, None)
            if not found:
                del self._subscriptions[subscription.conversation_id]
                self.bus.unsubscribe(subscription.conversation_id)
            if subscription.staff:
                self.presence.unwatch(subscription)

    def subscribe_inbox(self, inbox: Inbox, listener: Listener) -> None:
        """Tell the listener about changes of the conversation list."""
        self._inboxes.setdefault(listener, inbox)

    def tell(self, conversation_id: str, frame: bytes, sender: Listener | None) -> None:
        """A passing thing, such as typing, to all but its sender; None: it is elsewhere."""
        for subscription, listener in self._subscriptions.get(conversation_id, {}).items():
            if listener is not sender:
                subscription.other(frame)
        if sender is not None:
            self.bus.publish(conversation_id, frame)

    def received(self, topic: str, payload: bytes) -> None:
        """As `LiveBusReceiver.received`: a frame, or a change of the visitor's presence."""
        if payload in (ONLINE, OFFLINE):
            self.presence.changed(topic, online=payload == ONLINE)
        else:
            self.tell(topic, payload, None)

    # Following the log.

    def _readable(self) -> None:
        self._feed.drain()
        self._pump()

    def _tick(self) -> None:
        self._pump()
        self._timer = asyncio.get_running_loop().call_later(_POLL_S, self._tick)

    def _pump(self) -> None:
        if self._pumping:
            return
        try:
            events, upto = self._read()
        except InfrastructureError as error:
            _log.error("hub.log_unreadable", error=error.detail)
            return
        for recorded in events:
            try:
                self._take(recorded)
            except Unavailable as error:
                _log.error("hub.keys_unreadable", error=error.detail)
                return  # tried again; a subscriber shall not miss it
            except InfrastructureError as error:
                _log.error("hub.event_skipped", position=recorded.position, error=error.detail)
            self.position = recorded.position
        self.position = upto
        if upto < self._feed.durable_position():
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump_on)

    def _read(self) -> tuple[list[RecordedEvent], int]:
        """What comes next, and up to where that is all: with nobody to tell, only what ends
        sessions, and keys. The web role behind gateways is there all day.
        """
        if self._listeners:
            events = self._feed.read(self.position, _SLICE)
            return events, events[-1].position if events else self.position
        return self._feed.read_matching(self.position, _SLICE, _UNWATCHED)

    def _pump_on(self) -> None:
        self._pumping = False
        self._pump()

    def _take(self, recorded: RecordedEvent) -> None:
        category, _, id = recorded.stream.partition("-")
        if category == "conversation":
            if self._inboxes:
                self._changed.add(id)
            if id in self._subscriptions and "cursor" in recorded.type:
                self._tell_cursor(id, self._opener.open_envelope(recorded))
            elif id in self._subscriptions and "contact_erased" in recorded.type:
                self._spawn(tell_updates(self, id, 0, None, recorded.position))
        elif category == "message":
            # Most are not for this process: those are not opened.
            if self._subscriptions and conversation_of(recorded) in self._subscriptions:
                self._tell_message(id, self._opener.open_envelope(recorded))
        elif category in _REFUNDS:
            if self._inboxes:
                self._refunds.add(id)
        elif recorded.type.startswith(_IDENTITY):
            self._identity_changed(id, self._opener.open_envelope(recorded))

    def _tell_message(self, message_id: str, envelope: Envelope) -> None:
        event = envelope.event
        assert isinstance(event, MessageSent | MessageEdited | MessageRecalled)
        found = self._subscriptions[event.conversation_id]
        if isinstance(event, MessageSent):
            shape = shapes.sent_message(event, message_id, envelope.position, envelope.recorded_us)
            frame = frames.encode({"type": "message", **shape})
            for subscription, listener in list(found.items()):
                if event.private and not subscription.staff:
                    continue
                if not subscription.message(event.seq, frame):
                    listener.end(1013, "too many messages during the replay; subscribe again")
        else:
            conversation_id, seq = event.conversation_id, event.seq
            self._spawn(tell_updates(self, conversation_id, seq - 1, 1, envelope.position))

    def subscriptions(self, conversation_id: str) -> list[Subscription]:
        """Who is subscribed to a conversation here."""
        return list(self._subscriptions.get(conversation_id, ()))

    def _tell_cursor(self, conversation_id: str, envelope: Envelope) -> None:
        event = envelope.event
        if not isinstance(event, ReadCursorMoved | DeliveryCursorMoved):
            return
        shape: dict[str, Any] = {
            "type": "read" if isinstance(event, ReadCursorMoved) else "delivered",
            "conversation_id": conversation_id,
            "reader": {"kind": event.reader_kind.value, "id": event.reader_id},
            "seq": event.seq,
        }
        frame = frames.encode(shape)
        for subscription in list(self._subscriptions.get(conversation_id, {})):
            subscription.other(frame)

    def _identity_changed(self, id: str, envelope: Envelope) -> None:
        match envelope.event:
            case TokenRevoked():
                self._identities.forget(id)
                for listener in [x for x in self._listeners if x.token_id == id]:
                    listener.end(4401, "the session has ended")
            case AgentDeactivated() | AgentRoleChanged():
                self._identities.forget_subject(id)
                for listener in [x for x in self._listeners if x.subject_id == id]:
                    listener.end(4401, "log in again")
            case SubjectErased(key_id=key_id):
                # The visitor's sessions go on, and show what is left: nothing.
                self._identities.forget_subject(id)
                if key_id is not None:
                    self._opener.forget(key_id)

    # The conversation list.

    async def _tell_inbox_forever(self) -> None:
        while True:
            await asyncio.sleep(_INBOX_S)
            changed, self._changed = self._changed, set()
            refunds, self._refunds = self._refunds, set()
            if not (changed or refunds) or not self._inboxes:
                continue
            try:
                await self.views.wait_for(self.position, VIEWS_WAIT_S)
                rows = await self.views.conversations(list(changed)) if changed else []
                told = await refund_frames(self.views, refunds)
            except Unavailable:
                self._changed |= changed  # told when the views are back
                self._refunds |= refunds
                continue
            for row in rows:
                frame = frames.encode({"type": "conversation", **shapes.conversation(row)})
                told.append((row.id, frame))
            for name, frame in told:
                for listener, inbox in list(self._inboxes.items()):
                    if not inbox.changed(name, frame):
                        listener.end(1013, "too slow for the conversation list; come back")

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
