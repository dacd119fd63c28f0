"""Message: identity, state, fold and decisions."""

import hashlib
from functools import lru_cache
from typing import Final

import msgspec

from domain import errors, text
from domain.actors import Actor, ActorKind, Role
from domain.events import Decider
from domain.message.events import Author, MessageEdited, MessageEvent, MessageRecalled, MessageSent

_replace = msgspec.structs.replace

_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""Hex digit -> the same with the variant's two bits, 10 (RFC 9562 section 4.1)."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """State of one message after some of its events."""

    id: str
    conversation_id: str | None = None
    """None: never sent, the message does not exist."""
    seq: int = 0
    author: Author | None = None
    content: str = ""
    private: bool = False
    edited: bool = False
    recalled: bool = False


def message_id(conversation_id: str, author: Actor, ref: str) -> str:
    """The id of a message, derived so that a retry finds itself.

    The same conversation, sender and ref give the same id for ever; see ADR 0003.
    A UUID of version 8 (RFC 9562 section 5.8) over SHA-256.
    """
    return _derive("\x00".join((conversation_id, author.kind, author.id, ref)))


@lru_cache(maxsize=4_096)  # asked for twice: to look for a group's retries, and to decide
def _derive(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    # On the path of every message: uuid.UUID would cost three times as much as the hash.
    variant = _VARIANT[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def evolve(state: Message, event: MessageEvent) -> Message:
    """State after one more event."""
    match event:
        case MessageSent():
            return _replace(
                state,
                conversation_id=event.conversation_id,
                seq=event.seq,
                author=event.author,
                content=event.content,
                private=event.private,
            )
        case MessageEdited(content=content):
            return _replace(state, content=content, edited=True)
        case MessageRecalled():
            return _replace(state, content="", recalled=True)


DECIDER: Decider[Message] = Decider("message", Message, evolve)


def send(
    state: Message,
    conversation_id: str,
    seq: int,
    author: Actor,
    content: str,
    ref: str,
    *,
    private: bool,
) -> tuple[MessageEvent, ...]:
    """Say something, as number `seq` of its conversation.

    Raises:
        InvalidInput: the content or the ref breaks a limit.
    """
    text.check_ref(ref)
    text.check_content(content)
    if state.conversation_id is not None:
        return ()
    who = Author(author.kind, author.id, author.name)
    return (MessageSent(conversation_id, seq, who, content, private, ref),)


def edit(state: Message, actor: Actor, content: str) -> tuple[MessageEvent, ...]:
    """Change the content; the first one stays in the log.

    Raises:
        MessageNotFound, MessageAlreadyRecalled, Forbidden, InvalidInput.
    """
    conversation_id = _require_sent(state)
    _require_author(state, actor)
    text.check_content(content)
    if state.recalled:
        raise errors.MessageAlreadyRecalled
    if content == state.content:
        return ()
    return (MessageEdited(conversation_id, state.seq, content),)


def recall(state: Message, actor: Actor) -> tuple[MessageEvent, ...]:
    """Take a message back from view; an administrator may recall anybody's.

    Raises:
        MessageNotFound, Forbidden.
    """
    conversation_id = _require_sent(state)
    if actor.role is not Role.ADMIN and actor.kind is not ActorKind.SYSTEM:
        _require_author(state, actor)
    return () if state.recalled else (MessageRecalled(conversation_id, state.seq),)


def _require_sent(state: Message) -> str:
    if state.conversation_id is None:
        raise errors.MessageNotFound(state.id)
    return state.conversation_id


def _require_author(state: Message, actor: Actor) -> None:
    if state.author is None or (state.author.kind, state.author.id) != (actor.kind, actor.id):
        raise errors.Forbidden("Only its author may change a message.")
