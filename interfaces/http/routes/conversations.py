"""Conversations: the list, one of them, and work on it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from application.commands.conversation import (
    AssignConversation,
    ChangeStatus,
    LabelConversation,
    MoveReadCursor,
    PrioritiseConversation,
)
from application.ports.core import Receipt
from application.ports.views import ConversationFilter
from application.queries.core import ConversationAsOf, Principal
from domain.conversation.conversation import Status
from domain.errors import ConversationNotFound, InvalidInput
from interfaces import shapes
from interfaces.http.authentication import READERS, STAFF, Access, allow
from interfaces.http.context import CommandsDep, min_position
from interfaces.http.dependencies import Deps, WebDependencies
from interfaces.http.models import (
    Assign,
    Conversation,
    ConversationList,
    Labels,
    LastSeen,
    TogglePriority,
    ToggleStatus,
    page,
)
from interfaces.http.moments import moment, parse_time

router = APIRouter(prefix="/conversations", tags=["conversations"])
Staff = Annotated[Principal, Depends(allow(Access(STAFF)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS)))]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("", response_model=ConversationList, dependencies=[Depends(min_position)])
async def list_conversations(
    principal: Reader,
    deps: Deps,
    status: Literal["open", "resolved", "snoozed", "all"] = "all",
    assignee: Annotated[str | None, Query(description="`me`, `none` or an agent's id")] = None,
    label: str | None = None,
    q: Annotated[str | None, Query(max_length=500, description="Words, 中文 or English")] = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Conversations, newest activity first."""
    found = await deps.views.list_conversations(
        ConversationFilter(
            status=None if status == "all" else Status(status),
            assignee=principal.actor.id if assignee == "me" else assignee,
            label=label,
            q=q,
        ),
        limit,
        cursor,
    )
    return page([shapes.conversation(row) for row in found.data], found.after_cursor)


@router.get("/{conversation_id}", response_model=Conversation, dependencies=[Depends(min_position)])
async def get_conversation(
    conversation_id: str,
    principal: Reader,
    deps: Deps,
    as_of: Annotated[str | None, Query(description="A position, or an RFC 3339 time")] = None,
) -> dict[str, Any]:
    """One conversation, now or as it was."""
    if as_of is not None:
        position, time_us = moment(as_of)
        query = ConversationAsOf(conversation_id, position, time_us)
        return shapes.conversation(await deps.core.query(query))
    row = await deps.views.conversation(conversation_id)
    if row is None:
        raise ConversationNotFound(conversation_id)
    return shapes.conversation(row)


@router.post("/{conversation_id}/assignments", response_model=Conversation)
async def assign(
    conversation_id: str, body: Assign, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Give it to an agent, or to nobody."""
    command = AssignConversation(conversation_id, body.assignee_id)
    return await _as_of(deps, conversation_id, await commands.execute(command, principal.actor))


@router.post("/{conversation_id}/toggle_status", response_model=Conversation)
async def toggle_status(
    conversation_id: str, body: ToggleStatus, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Open, resolve or snooze it."""
    until_us: int | None = None
    if body.snoozed_until is not None:
        if body.status is not Status.SNOOZED:
            raise InvalidInput("snoozed_until goes with status snoozed.", "snoozed_until")
        until_us = parse_time(body.snoozed_until, "snoozed_until")
    command = ChangeStatus(conversation_id, body.status, until_us)
    return await _as_of(deps, conversation_id, await commands.execute(command, principal.actor))


@router.post("/{conversation_id}/toggle_priority", response_model=Conversation)
async def toggle_priority(
    conversation_id: str, body: TogglePriority, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Say how urgent it is."""
    command = PrioritiseConversation(conversation_id, body.priority)
    return await _as_of(deps, conversation_id, await commands.execute(command, principal.actor))


@router.post("/{conversation_id}/labels", response_model=Conversation)
async def label(
    conversation_id: str, body: Labels, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Replace its labels."""
    command = LabelConversation(conversation_id, tuple(body.labels))
    return await _as_of(deps, conversation_id, await commands.execute(command, principal.actor))


@router.post("/{conversation_id}/update_last_seen", response_model=Conversation)
async def update_last_seen(
    conversation_id: str, body: LastSeen, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Move the own read cursor."""
    command = MoveReadCursor(conversation_id, body.seq)
    return await _as_of(deps, conversation_id, await commands.execute(command, principal.actor))


async def _as_of(deps: WebDependencies, conversation_id: str, receipt: Receipt) -> dict[str, Any]:
    """The conversation as the command left it: from the log, so it needs no view and a repeat
    under the same Idempotency-Key gives the same.
    """
    query = ConversationAsOf(conversation_id, position=receipt.position)
    return shapes.conversation(await deps.core.query(query))
