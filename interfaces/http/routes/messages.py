"""Messages of a conversation."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from application.commands.message import EditMessage, RecallMessage, SendMessage
from application.ports.views import Views
from application.queries.core import Principal
from application.queries.past_messages import messages_as_of
from application.queries.streams import CoreStreams
from domain.actors import ActorKind, Scope
from domain.errors import ConversationNotFound, Forbidden, InvalidInput
from interfaces import shapes
from interfaces.http.authentication import EXAMINERS, READERS, STAFF, Access, allow
from interfaces.http.context import CommandsDep, min_position
from interfaces.http.dependencies import Deps
from interfaces.http.models import (
    EditMessageBody,
    MessageList,
    PostedMessage,
    PostMessage,
    page,
)
from interfaces.http.moments import position_of

router = APIRouter(prefix="/conversations/{conversation_id}/messages", tags=["messages"])
Seq = Annotated[int | None, Query(ge=0, le=2**31 - 1)]
Writer = Annotated[
    Principal, Depends(allow(Access(STAFF, visitor=True, scope=Scope.MESSAGES_WRITE)))
]
Author = Annotated[Principal, Depends(allow(Access(STAFF, visitor=True)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS, visitor=True)))]


@router.get("", response_model=MessageList, dependencies=[Depends(min_position)])
async def list_messages(
    request: Request,
    conversation_id: str,
    principal: Reader,
    deps: Deps,
    after_seq: Seq = None,
    before_seq: Seq = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
    as_of: Annotated[
        str | None,
        Query(description="As they were at a position, or an RFC 3339 time; for examiners"),
    ] = None,
) -> dict[str, Any]:
    """Messages in ascending `seq`: those after `after_seq`, or the last ones before `before_seq`.

    A visitor is not sent private notes, so its numbers may have gaps. With `as_of` the log is read
    and not the views: it shows what was changed or recalled since, to auditors and administrators.
    """
    if cursor is not None:
        after_seq = _seq_of(cursor)
    if as_of is not None:
        if before_seq is not None:
            raise InvalidInput("Past messages are listed forwards: give after_seq.", "before_seq")
        if principal.actor.role not in EXAMINERS:
            raise Forbidden
        await deps.reads.record(request, principal)
        past = await messages_as_of(
            CoreStreams(deps.core),
            deps.opener,
            conversation_id,
            await position_of(deps.feed, as_of),
            after_seq=after_seq or 0,
            limit=limit,
        )
        following = str(past.last_seq) if past.more else None
        return page([shapes.message(row) for row in past.rows], following)
    if after_seq is not None and before_seq is not None:
        raise InvalidInput("Give after_seq or before_seq, not both.", "before_seq")
    visitor = principal.actor.kind is ActorKind.VISITOR
    found = await deps.views.messages(
        conversation_id,
        after_seq=after_seq,
        before_seq=before_seq,
        limit=limit + 1,
        include_private=not visitor,
    )
    if not found:
        await _require_exists(deps.views, conversation_id, visitor=visitor)
    more = len(found) > limit
    if before_seq is not None:
        # The next page of a backwards list begins before its first message, not after a cursor.
        rows = found[-limit:] if more else found
        body = page([shapes.message(row) for row in rows], None)
        body["meta"]["has_more"] = more
        return body
    rows = found[:limit]
    return page([shapes.message(row) for row in rows], str(rows[-1].seq) if more else None)


@router.post("", status_code=201, response_model=PostedMessage)
async def post_message(
    conversation_id: str, body: PostMessage, principal: Writer, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Send a message; the answer comes when it is on disk."""
    # Without a ref of the client's own every call is another message.
    ref = body.ref if body.ref is not None else deps.ids.new()
    command = SendMessage(conversation_id, ref, body.content, body.private)
    receipt = await commands.execute(command, principal.actor)
    return {**receipt.result, "position": receipt.position}


@router.patch("/{message_id}", response_model=PostedMessage)
async def edit_message(
    conversation_id: str,
    message_id: str,
    body: EditMessageBody,
    principal: Author,
    commands: CommandsDep,
) -> dict[str, Any]:
    """Change the own message; the first content stays in the log."""
    command = EditMessage(conversation_id, message_id, body.content)
    receipt = await commands.execute(command, principal.actor)
    return {**receipt.result, "position": receipt.position}


@router.delete("/{message_id}", response_model=PostedMessage)
async def recall_message(
    conversation_id: str, message_id: str, principal: Author, commands: CommandsDep
) -> dict[str, Any]:
    """Take a message back from view; administrators may recall anybody's."""
    command = RecallMessage(conversation_id, message_id)
    receipt = await commands.execute(command, principal.actor)
    return {**receipt.result, "position": receipt.position}


async def _require_exists(views: Views, conversation_id: str, *, visitor: bool) -> None:
    """A visitor's own conversation exists, though the views may not hold it yet."""
    if not visitor and await views.conversation(conversation_id) is None:
        raise ConversationNotFound(conversation_id)


def _seq_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 9:
        raise InvalidInput("cursor is not one that this API gave; leave it out.", "cursor")
    return int(cursor)
