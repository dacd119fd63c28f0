"""Sending, editing and recalling messages."""

from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.actors import (
    Actor,
    ActorKind,
    Role,
    Scope,
    require_conversation_access,
    require_scope,
)
from domain.conversation import conversation as conversations
from domain.errors import Forbidden, MessageNotFound, RefReused
from domain.message import message as messages


class SendMessage(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Say something in a conversation. Answer: `message_id`, `seq`."""

    conversation_id: str
    ref: str
    """The sender's own id of the message, 1 to 64 characters; the same ref, the same message."""
    content: str
    private: bool = False


class EditMessage(msgspec.Struct, frozen=True, tag=True):
    """Change a message's content. Answer: `message_id`, `seq`."""

    conversation_id: str
    message_id: str
    content: str


class RecallMessage(msgspec.Struct, frozen=True, tag=True):
    """Take a message back from view. Answer: `message_id`, `seq`."""

    conversation_id: str
    message_id: str


def new_stream(command: SendMessage, actor: Actor) -> str:
    """The stream that the message will begin, unless this is a retry."""
    id = messages.message_id(command.conversation_id, actor, command.ref)
    return messages.DECIDER.stream(id)


def send_message(uow: UnitOfWork, command: SendMessage, actor: Actor) -> dict[str, Any]:
    """One atomic batch: the conversation accepts the message, the message is sent."""
    _require_sender(actor, command)
    message_id = messages.message_id(command.conversation_id, actor, command.ref)
    message = uow.load(messages.DECIDER, message_id)
    conversation = uow.load(conversations.DECIDER, command.conversation_id)
    if message.conversation_id is not None:
        if not conversation.contact_erased:
            uow.subject = conversation.contact_id
        # A retry: the first receipt again, from before any rule that may have changed since.
        _require_same(message, command)
        uow.answer_with_position_of(messages.DECIDER.stream(message_id))
        return {"message_id": message_id, "seq": message.seq}
    accepted = conversations.accept_message(
        conversation, message_id, actor.kind, private=command.private
    )
    seq = conversation.last_seq + 1
    sent = messages.send(
        message,
        command.conversation_id,
        seq,
        actor,
        command.content,
        command.ref,
        private=command.private,
    )
    uow.stage(conversations.DECIDER, command.conversation_id, accepted)
    uow.stage(messages.DECIDER, message_id, sent, subject=conversation.contact_id)
    return {"message_id": message_id, "seq": seq}


def edit_message(uow: UnitOfWork, command: EditMessage, actor: Actor) -> dict[str, Any]:
    """Only the author may edit."""
    message = _load_in_conversation(uow, command.conversation_id, command.message_id, actor)
    conversation = uow.load(conversations.DECIDER, command.conversation_id)
    conversations.require_contact_kept(conversation)
    events = messages.edit(message, actor, command.content)
    uow.stage(messages.DECIDER, command.message_id, events, subject=conversation.contact_id)
    return {"message_id": message.id, "seq": message.seq}


def recall_message(uow: UnitOfWork, command: RecallMessage, actor: Actor) -> dict[str, Any]:
    """The author or an administrator may recall."""
    message = _load_in_conversation(uow, command.conversation_id, command.message_id, actor)
    uow.stage(messages.DECIDER, command.message_id, messages.recall(message, actor))
    return {"message_id": message.id, "seq": message.seq}


def _require_sender(actor: Actor, command: SendMessage) -> None:
    require_conversation_access(actor, command.conversation_id)
    if actor.kind is ActorKind.API_KEY:
        require_scope(actor, Scope.MESSAGES_WRITE)
    elif actor.role is Role.AUDITOR:
        raise Forbidden("An auditor reads everything and writes nothing.")
    if command.private and actor.kind is ActorKind.VISITOR:
        raise Forbidden("A visitor can't write private notes.")


def _require_same(message: messages.Message, command: SendMessage) -> None:
    edited_or_same = message.recalled or message.edited or message.content == command.content
    if not edited_or_same or message.private != command.private:
        raise RefReused


def _load_in_conversation(
    uow: UnitOfWork, conversation_id: str, message_id: str, actor: Actor
) -> messages.Message:
    require_conversation_access(actor, conversation_id)
    message = uow.load(messages.DECIDER, message_id)
    if message.conversation_id != conversation_id:
        raise MessageNotFound(message_id)
    if message.private and actor.kind is ActorKind.VISITOR:
        raise MessageNotFound(message_id)
    if actor.role is Role.AUDITOR:
        raise Forbidden("An auditor reads everything and writes nothing.")
    return message
