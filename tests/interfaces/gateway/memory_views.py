"""`Views` folded in memory from the log's files, which a test can hold back or take down."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from application import codec
from application.ports.event_store import EventFeed
from application.ports.refund_views import RefundRow
from application.ports.views import ContactSummary, ConversationRow, MessageRow, WantedPage
from domain.conversation.conversation import Status
from domain.conversation.events import (
    ConversationContactErased,
    ConversationOpened,
    ConversationResolved,
    MessageAccepted,
)
from domain.errors import Unavailable
from domain.message.events import MessageEdited, MessageRecalled, MessageSent


@dataclass
class _Conversation:
    contact_id: str
    status: Status = Status.OPEN
    last_seq: int = 0
    messages: dict[int, MessageRow] = field(default_factory=dict)


class MemoryViews:
    """What the gateway asks of the views; the rest of the port is not here."""

    def __init__(self, feed: EventFeed) -> None:
        self.down = False
        self.hold_at: int | None = None
        """The views do not go past this position; None: they are as new as the log."""
        self.queries = 0
        """Reads of messages and conversations."""
        self.page_gate: asyncio.Event | None = None
        """While it is not set, a page of messages takes its time."""
        self._feed = feed
        self._position = 0
        self._conversations: dict[str, _Conversation] = {}

    async def position(self) -> int:
        self._follow()
        return self._position

    async def wait_for(self, position: int, timeout_s: float) -> None:
        end = asyncio.get_running_loop().time() + timeout_s
        while self._require_up() < position:
            if asyncio.get_running_loop().time() > end:
                raise Unavailable("The views are behind.")
            await asyncio.sleep(0.005)

    async def conversation(self, id: str) -> ConversationRow | None:
        return next(iter(await self.conversations([id])), None)

    async def conversations(self, ids: list[str]) -> list[ConversationRow]:
        self._require_up()
        self.queries += 1
        return [self._row(id) for id in ids if id in self._conversations]

    async def refunds_by_id(self, ids: list[str]) -> list[RefundRow]:
        """No test of the gateway alone has refunds."""
        self._require_up()
        return []

    async def messages(
        self,
        conversation_id: str,
        *,
        after_seq: int | None = None,
        before_seq: int | None = None,
        limit: int,
        include_private: bool,
    ) -> list[MessageRow]:
        assert before_seq is None, "the gateway never reads backwards"
        self._require_up()
        self.queries += 1
        found = self._conversations.get(conversation_id)
        rows = sorted(found.messages.items()) if found else []
        page = [
            row
            for seq, row in rows
            if seq > (after_seq or 0) and (include_private or not row.private)
        ][:limit]
        if self.page_gate is not None:
            await self.page_gate.wait()
        return page

    async def message_pages(
        self, wanted: Sequence[WantedPage], limit: int
    ) -> list[list[MessageRow]]:
        return [
            await self.messages(
                one.conversation_id,
                after_seq=one.after_seq,
                limit=limit,
                include_private=one.include_private,
            )
            for one in wanted
        ]

    def _require_up(self) -> int:
        if self.down:
            raise Unavailable("The views are down.")
        self._follow()
        return self._position

    def _follow(self) -> None:
        upto = self._feed.durable_position()
        if self.hold_at is not None:
            upto = min(upto, self.hold_at)
        while self._position < upto:
            for recorded in self._feed.read(self._position, min(1_000, upto - self._position)):
                self._apply(codec.open_envelope(recorded))
                self._position = recorded.position

    def _apply(self, envelope: codec.Envelope) -> None:
        id = envelope.stream.partition("-")[2]
        match envelope.event:
            case ConversationOpened(contact_id=contact_id):
                self._conversations[id] = _Conversation(contact_id)
            case ConversationResolved():
                self._conversations[id].status = Status.RESOLVED
            case MessageAccepted(seq=seq):
                self._conversations[id].last_seq = seq
            case ConversationContactErased():
                for seq in self._conversations[id].messages:
                    self._change(id, seq, {"content": ""})
            case MessageSent() as sent:
                self._conversations[sent.conversation_id].messages[sent.seq] = MessageRow(
                    id,
                    sent.conversation_id,
                    sent.seq,
                    sent.author,
                    sent.content,
                    sent.private,
                    envelope.recorded_us,
                    envelope.position,
                )
            case MessageEdited() as edited:
                changed = {"content": edited.content, "edited_at_us": envelope.recorded_us}
                self._change(edited.conversation_id, edited.seq, changed)
            case MessageRecalled() as recalled:
                changed = {"content": "", "recalled_at_us": envelope.recorded_us}
                self._change(recalled.conversation_id, recalled.seq, changed)
            case _:
                return

    def _change(self, conversation_id: str, seq: int, fields: dict[str, Any]) -> None:
        messages = self._conversations[conversation_id].messages
        row = messages[seq]
        values = {name: getattr(row, name) for name in row.__struct_fields__}
        messages[seq] = MessageRow(**{**values, **fields})

    def _row(self, id: str) -> ConversationRow:
        found = self._conversations[id]
        last = found.messages.get(found.last_seq)
        return ConversationRow(
            id=id,
            status=found.status,
            assignee_id=None,
            contact=ContactSummary(found.contact_id, None, None, None, False),
            last_seq=found.last_seq,
            last_message=last,
            last_public_message=None if last is None or last.private else last,
            created_at_us=0,
            updated_at_us=0,
            priority=None,
            labels=(),
            snoozed_until_us=None,
            identity_verified=False,
            unread_count=0,
            agent_read_seq=0,
            visitor_read_seq=0,
            visitor_delivered_seq=0,
        )
