"""A connection's session: frames and results in, effects out. No I/O, no clock.

`interfaces.gateway.websocket` carries it on the epoll loop, `transport` on asyncio.
"""

from typing import Any, Final, NamedTuple

from application.commands.audit import RecordRead
from application.commands.conversation import MoveDeliveryCursor, MoveReadCursor
from application.commands.message import SendMessage
from application.ports.core import Receipt
from application.queries.core import Principal
from domain.actors import ActorKind, Role, Scope
from domain.errors import ConversationNotFound, Forbidden, InvalidInput, KefuError
from interfaces.gateway import frames

MAX_IN_FLIGHT: Final = 256
"""Sends under way on one connection; beyond it `busy`."""
MAX_SUBSCRIPTIONS: Final = 500

MAX_FRAME_BYTES: Final = 64 * 1024
"""Contract: a longer message is closed with 1009."""

CLOSE_GOING_AWAY: Final = 1012
"""Service restart, in the IANA registry of close codes: come back in a moment."""
CLOSE_UNSUPPORTED: Final = 1003
"""RFC 6455 section 7.4.1: data of a type that it can't accept (a binary frame)."""
CLOSE_INVALID: Final = 1007
"""RFC 6455 section 7.4.1: data that is not what the frame says (text that is not JSON)."""
CLOSE_TRY_AGAIN: Final = 1013
CLOSE_UNAUTHENTICATED: Final = 4401


class Reply(NamedTuple):
    """Send this frame."""

    frame: bytes


class Execute(NamedTuple):
    """Send this command to the core and tell `Session.executed` what came of it."""

    command: Any
    ref: str | None
    """Of the send; None: a cursor."""


class Follow(NamedTuple):
    """Subscribe to a conversation: replay after a seq, then live."""

    conversation_id: str
    after_seq: int
    presence: bool = False


class Unfollow(NamedTuple):
    """No more of a conversation."""

    conversation_id: str


class FollowInbox(NamedTuple):
    """Subscribe to changes of the conversation list."""


class Tell(NamedTuple):
    """Tell the conversation's other subscribers that somebody is typing."""

    conversation_id: str
    frame: bytes


class Close(NamedTuple):
    """Close the connection."""

    code: int
    reason: str


class Record(NamedTuple):
    """An auditor reads: write that down, and only then go on (ADR 0019)."""

    command: RecordRead
    then: Follow | FollowInbox


Effect = Reply | Execute | Follow | Unfollow | FollowInbox | Tell | Close | Record


class Session:
    """What one authenticated connection may do and is told."""

    __slots__ = ("_cursors", "_in_flight", "_moving", "following", "principal", "staff")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.staff = principal.actor.kind is ActorKind.AGENT
        """Sees private notes and every conversation."""
        self.following: dict[str, None] = {}
        """Conversations. A dictionary: an empty set has three times its size, a million times."""
        self._in_flight = 0
        self._moving: dict[tuple[type, str], None] = {}
        """Cursors whose command is under way."""
        self._cursors: dict[tuple[type, str], int] = {}
        """Newer places of those cursors; only the newest is sent on."""

    def receive(self, text: str) -> list[Effect]:
        """A text frame from the client."""
        try:
            frame = frames.decode(text)
        except frames.NotJson:
            return [Close(CLOSE_INVALID, "frames are JSON text")]
        except frames.BadFrame as error:
            return [Reply(frames.error(error.code, error.detail, error.ref))]
        try:
            return self._handle(frame)
        except KefuError as error:
            ref = getattr(frame, "ref", None)
            return [Reply(frames.error(error.code, error.detail, ref))]

    def receive_binary(self) -> list[Effect]:
        """A binary frame from the client."""
        return [Close(CLOSE_UNSUPPORTED, "frames are text")]

    def executed(self, effect: Execute, outcome: Receipt | KefuError) -> list[Effect]:
        """What came of a command."""
        if isinstance(effect.command, SendMessage):
            self._in_flight -= 1
            if isinstance(outcome, KefuError):
                return [Reply(frames.error(outcome.code, outcome.detail, effect.ref))]
            ack = {"type": "ack", "ref": effect.ref, **outcome.result, "position": outcome.position}
            return [Reply(frames.encode(ack))]
        return self._cursor_moved(effect, outcome)

    def recorded(self, effect: Record, outcome: Receipt | KefuError) -> list[Effect]:
        """What came of writing a read down."""
        then = effect.then
        if isinstance(outcome, KefuError):
            if isinstance(then, Follow):
                self.following.pop(then.conversation_id, None)
            return [Reply(frames.error("unavailable", outcome.detail))]
        gone = isinstance(then, Follow) and then.conversation_id not in self.following
        return [] if gone else [then]

    def _handle(self, frame: frames.ClientFrame) -> list[Effect]:
        match frame:
            case frames.Send():
                return self._send(frame)
            case frames.Ping(ref=ref):
                return [Reply(frames.encode({"type": "pong", "ref": ref}))]
            case frames.Subscribe():
                return self._subscribe(frame.conversation_id, frame.after_seq, frame.presence)
            case frames.Unsubscribe(conversation_id=conversation_id):
                self.following.pop(conversation_id, None)
                return [Unfollow(conversation_id)]
            case frames.SubscribeInbox():
                if not self.staff:
                    raise Forbidden
                return [self._seen("subscribe_inbox", None, FollowInbox())]
            case frames.Typing(conversation_id=conversation_id, on=on):
                return self._typing(conversation_id, on=on)
            case frames.Read(conversation_id=conversation_id, seq=seq):
                return self._move(MoveReadCursor, conversation_id, seq)
            case frames.Delivered(conversation_id=conversation_id, seq=seq):
                return self._move(MoveDeliveryCursor, conversation_id, seq)

    def _send(self, frame: frames.Send) -> list[Effect]:
        if self._in_flight >= MAX_IN_FLIGHT:
            detail = f"At most {MAX_IN_FLIGHT} messages may wait for their ack; send it again."
            return [Reply(frames.error("busy", detail, frame.ref))]
        self._in_flight += 1
        command = SendMessage(frame.conversation_id, frame.ref, frame.content, frame.private)
        return [Execute(command, frame.ref)]

    def _subscribe(self, conversation_id: str, after_seq: int, presence: bool) -> list[Effect]:
        self._require_sight(conversation_id)
        if presence and not self.staff:
            raise Forbidden
        if not 0 <= after_seq <= frames.MAX_INT:
            raise InvalidInput("after_seq must be 0 or a seq.", "after_seq")
        if conversation_id not in self.following and len(self.following) >= MAX_SUBSCRIPTIONS:
            raise InvalidInput(f"At most {MAX_SUBSCRIPTIONS} subscriptions a connection.")
        self.following[conversation_id] = None
        follow = Follow(conversation_id, after_seq, presence)
        return [self._seen("subscribe", conversation_id, follow)]

    def _seen(self, what: str, subject: str | None, then: Follow | FollowInbox) -> Effect:
        if self.principal.actor.role is not Role.AUDITOR:
            return then
        return Record(RecordRead(what, subject, {}), then)

    def _typing(self, conversation_id: str, *, on: bool) -> list[Effect]:
        self._require_sight(conversation_id)
        actor = self.principal.actor
        if actor.role is Role.AUDITOR:
            raise Forbidden
        frame = {
            "type": "typing",
            "conversation_id": conversation_id,
            "author": {"kind": actor.kind.value, "id": actor.id, "name": actor.name},
            "on": on,
        }
        return [Tell(conversation_id, frames.encode(frame))]

    def _move(
        self, kind: type[MoveReadCursor | MoveDeliveryCursor], conversation_id: str, seq: int
    ) -> list[Effect]:
        if not 0 <= seq <= frames.MAX_INT:
            raise InvalidInput("seq must be 0 or a seq.", "seq")
        key = (kind, conversation_id)
        if key in self._moving:
            self._cursors[key] = max(seq, self._cursors.get(key, 0))
            return []
        if len(self._moving) >= MAX_SUBSCRIPTIONS:
            raise InvalidInput("Too many cursors are moving at once.")
        self._moving[key] = None
        return [Execute(kind(conversation_id, seq), None)]

    def _cursor_moved(self, effect: Execute, outcome: Receipt | KefuError) -> list[Effect]:
        key = (type(effect.command), effect.command.conversation_id)
        effects: list[Effect] = []
        if isinstance(outcome, KefuError):
            effects.append(Reply(frames.error(outcome.code, outcome.detail)))
        newer = self._cursors.pop(key, None)
        if newer is not None and newer > effect.command.seq:
            effects.append(Execute(key[0](key[1], newer), None))
        else:
            self._moving.pop(key, None)
        return effects

    def _require_sight(self, conversation_id: str) -> None:
        """Staff see every conversation, a visitor its own."""
        actor = self.principal.actor
        if actor.kind is ActorKind.VISITOR and actor.conversation_id != conversation_id:
            raise ConversationNotFound(conversation_id)
        if actor.kind is ActorKind.API_KEY:
            raise Forbidden(f"API keys follow the feed of events (scope {Scope.EVENTS_READ}).")
