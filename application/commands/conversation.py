"""Work on conversations: assignment, status, priority, labels, cursors."""

from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.actors import Actor, ActorKind, require_conversation_access, require_staff
from domain.agent import agent as agents
from domain.conversation import conversation as conversations
from domain.conversation.conversation import Conversation, Status
from domain.conversation.events import ConversationEvent, Priority, ReopenCause
from domain.errors import AgentInactive, Forbidden


class AssignConversation(msgspec.Struct, frozen=True, tag=True):
    """Give a conversation to an agent, or to nobody."""

    conversation_id: str
    assignee_id: str | None


class ChangeStatus(msgspec.Struct, frozen=True, tag=True):
    """Open, resolve or snooze."""

    conversation_id: str
    status: Status
    snoozed_until_us: int | None = None


class WakeConversation(msgspec.Struct, frozen=True, tag=True):
    """Reopen a snoozed conversation whose time has come."""

    conversation_id: str


class PrioritiseConversation(msgspec.Struct, frozen=True, tag=True):
    """Say how urgent it is."""

    conversation_id: str
    priority: Priority | None


class LabelConversation(msgspec.Struct, frozen=True, tag=True):
    """Replace the set of labels."""

    conversation_id: str
    labels: tuple[str, ...]


class MoveReadCursor(msgspec.Struct, frozen=True, tag=True):
    """The actor has read everything up to `seq`."""

    conversation_id: str
    seq: int


class MoveDeliveryCursor(msgspec.Struct, frozen=True, tag=True):
    """Everything up to `seq` has reached a client of the actor."""

    conversation_id: str
    seq: int


def assign_conversation(
    uow: UnitOfWork, command: AssignConversation, actor: Actor
) -> dict[str, Any]:
    """Only an active agent can be given work."""
    require_staff(actor)
    if command.assignee_id is not None:
        agent = uow.load(agents.DECIDER, command.assignee_id)
        agents.require_exists(agent)
        if not agent.active:
            raise AgentInactive
    conversation = _load(uow, command.conversation_id)
    return _stage(uow, conversation, conversations.assign(conversation, command.assignee_id))


def change_status(uow: UnitOfWork, command: ChangeStatus, actor: Actor) -> dict[str, Any]:
    """Open, resolve or snooze."""
    require_staff(actor)
    conversation = _load(uow, command.conversation_id)
    events: tuple[ConversationEvent, ...]
    match command.status:
        case Status.OPEN:
            events = conversations.reopen(conversation, ReopenCause.AGENT)
        case Status.RESOLVED:
            events = conversations.resolve(conversation)
        case Status.SNOOZED:
            events = conversations.snooze(conversation, command.snoozed_until_us, uow.now_us)
    return _stage(uow, conversation, events)


def wake_conversation(uow: UnitOfWork, command: WakeConversation, actor: Actor) -> dict[str, Any]:
    """For the automation only."""
    if actor.kind is not ActorKind.SYSTEM:
        raise Forbidden
    conversation = _load(uow, command.conversation_id)
    return _stage(uow, conversation, conversations.wake(conversation, uow.now_us))


def prioritise_conversation(
    uow: UnitOfWork, command: PrioritiseConversation, actor: Actor
) -> dict[str, Any]:
    """Set or clear the priority."""
    require_staff(actor)
    conversation = _load(uow, command.conversation_id)
    return _stage(uow, conversation, conversations.prioritise(conversation, command.priority))


def label_conversation(uow: UnitOfWork, command: LabelConversation, actor: Actor) -> dict[str, Any]:
    """Replace the set of labels."""
    require_staff(actor)
    conversation = _load(uow, command.conversation_id)
    return _stage(uow, conversation, conversations.label(conversation, command.labels))


def move_read_cursor(uow: UnitOfWork, command: MoveReadCursor, actor: Actor) -> dict[str, Any]:
    """Visitors and agents have cursors; auditors leave no trace of reading here."""
    _require_reader(actor, command.conversation_id)
    conversation = _load(uow, command.conversation_id)
    events = conversations.move_read_cursor(conversation, actor.kind, actor.id, command.seq)
    return _stage(uow, conversation, events)


def move_delivery_cursor(
    uow: UnitOfWork, command: MoveDeliveryCursor, actor: Actor
) -> dict[str, Any]:
    """As `move_read_cursor`, for what has reached a client."""
    _require_reader(actor, command.conversation_id)
    conversation = _load(uow, command.conversation_id)
    events = conversations.move_delivery_cursor(conversation, actor.kind, actor.id, command.seq)
    return _stage(uow, conversation, events)


def _require_reader(actor: Actor, conversation_id: str) -> None:
    require_conversation_access(actor, conversation_id)
    if actor.kind is not ActorKind.VISITOR:
        require_staff(actor)


def _load(uow: UnitOfWork, conversation_id: str) -> Conversation:
    return uow.load(conversations.DECIDER, conversation_id)


def _stage(
    uow: UnitOfWork, conversation: Conversation, events: tuple[ConversationEvent, ...]
) -> dict[str, Any]:
    uow.stage(conversations.DECIDER, conversation.id, events)
    return {"conversation_id": conversation.id}
