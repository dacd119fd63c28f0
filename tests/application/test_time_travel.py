"""`as_of` at every position of a random conversation equals a fold of its events to there."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.commands.agent import ChangeAgent
from application.commands.bus import CommandBus
from application.commands.contact import UpdateContact
from application.commands.conversation import (
    AssignConversation,
    ChangeStatus,
    LabelConversation,
    MoveDeliveryCursor,
    MoveReadCursor,
    PrioritiseConversation,
)
from application.commands.message import EditMessage, RecallMessage, SendMessage
from application.ports.event_store import RecordedEvent
from application.ports.views import ContactSummary, ConversationRow, MessageRow
from application.projections.records import MessageRecord
from application.projections.runner import ProjectionRunner
from application.queries.core import ConversationAsOf
from application.queries.life import life
from application.queries.past_messages import messages_as_of
from application.queries.streams import CoreStreams, FeedStreams
from application.sealing import IN_CLEAR
from domain.actors import Actor, ActorKind
from domain.conversation.conversation import Status
from domain.conversation.events import Priority
from domain.errors import ConversationNotFound, DomainError
from domain.message.events import Author
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from tests.application.conftest import Driver, SteppingClock
from tests.application.projections.fakes import FakeProjectionStore

WHATS = (
    *("say", "reply", "note", "edit", "recall", "assign", "unassign", "resolve", "open", "snooze"),
    *("priority", "labels", "agent-reads", "visitor-reads", "delivered", "rename", "contact"),
    "other",
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(WHATS),
        st.integers(0, 7),
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=9),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_as_of_at_every_position_equals_a_fold_of_the_events_to_there(
    steps: list[tuple[str, int, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder) / "log", steps))


async def check(directory: Path, steps: list[tuple[str, int, str]]) -> None:
    with EventLog.open(directory) as log:
        bus = CommandBus(log, SteppingClock())
        bus.start()
        driver = Driver(bus, log, SteppingClock())
        agent = await driver.agent()
        visitor, other = await driver.visitor(identifier="user-7"), await driver.visitor()
        sent: list[tuple[str, Actor]] = []
        for number, (what, n, text) in enumerate(steps):
            try:
                await step(driver, agent, visitor, other, sent, what, n, f"{text}{number}")
            except DomainError:
                continue  # a rule said no: nothing was written
        conversation = visitor.conversation_id or ""
        reader = LogReader(directory)
        events = reader.read(0, 10_000)
        rows = Folded()
        streams = CoreStreams(bus)
        for event in events:
            rows.take(event)
            at = event.position
            expected = rows.conversation(conversation)
            assert await conversation_at(bus, conversation, at) == expected
            assert await messages_at(streams, conversation, at, 2) == rows.messages(conversation)
        lived = [step.recorded for step in (await whole_life(streams, conversation, 3))]
        assert lived == [e for e in events if belongs(e, conversation, visitor.id, rows)]
        offline = FeedStreams(reader, lambda done, total: None)
        assert [s.recorded for s in await whole_life(offline, conversation, 1_000)] == lived
        reader.close()
        await bus.close()


async def step(
    driver: Driver,
    agent: Actor,
    visitor: Actor,
    other: Actor,
    sent: list[tuple[str, Actor]],
    what: str,
    n: int,
    text: str,
) -> None:
    id = visitor.conversation_id or ""
    message, author = sent[n % len(sent)] if sent else ("none", visitor)
    command: Any
    match what:
        case "say" | "reply" | "note":
            actor = visitor if what == "say" else agent
            command = SendMessage(id, text, text, what == "note")
            receipt = await driver.execute(command, actor)
            sent.append((receipt.result["message_id"], actor))
        case "other":
            await driver.execute(SendMessage(other.conversation_id or "", text, text), other)
        case "edit":
            await driver.execute(EditMessage(id, message, text), author)
        case "recall":
            await driver.execute(RecallMessage(id, message), author)
        case "assign" | "unassign":
            command = AssignConversation(id, agent.id if what == "assign" else None)
            await driver.execute(command, agent)
        case "resolve":
            await driver.execute(ChangeStatus(id, Status.RESOLVED), agent)
        case "open":
            await driver.execute(ChangeStatus(id, Status.OPEN), agent)
        case "snooze":
            until_us = driver.clock.us + 10**12 if n % 2 else None
            await driver.execute(ChangeStatus(id, Status.SNOOZED, until_us), agent)
        case "priority":
            command = PrioritiseConversation(id, list(Priority)[n % 4] if n else None)
            await driver.execute(command, agent)
        case "labels":
            await driver.execute(
                LabelConversation(id, tuple(f"label {i}" for i in range(n))), agent
            )
        case "agent-reads":
            await driver.execute(MoveReadCursor(id, n), agent)
        case "visitor-reads":
            await driver.execute(MoveReadCursor(id, n), visitor)
        case "delivered":
            await driver.execute(MoveDeliveryCursor(id, n), visitor)
        case "rename":
            await driver.execute(ChangeAgent(agent.id, name=text))
        case "contact":
            await driver.execute(UpdateContact(visitor.id, text, None), agent)


class Folded:
    """The views' own fold, event by event, in memory."""

    def __init__(self) -> None:
        self._store = FakeProjectionStore()
        self._taken: list[RecordedEvent] = []
        self._runner = ProjectionRunner(self, self._store)
        self.message_streams: set[str] = set()

    def take(self, event: RecordedEvent) -> None:
        self._taken.append(event)
        assert self._runner.step()

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        return self._taken[after : after + limit]

    def durable_position(self) -> int:
        return len(self._taken)

    def wait(self, after: int, timeout_s: float) -> int:
        return self.durable_position()

    def messages(self, conversation: str) -> list[MessageRow] | None:
        if conversation not in self._store.rows.conversations:
            return None
        rows = self._store.rows.messages
        found = [message(rows[key]) for key in sorted(rows) if key[0] == conversation]
        self.message_streams |= {f"message-{row.message_id}" for row in found}
        return found

    def conversation(self, id: str) -> ConversationRow | None:
        row = self._store.rows.conversations.get(id)
        if row is None:
            return None
        contact = self._store.rows.contacts[row.contact_id]
        rows = self._store.rows.messages
        last, public = (
            message(rows[id, seq]) if (id, seq) in rows else None
            for seq in (row.last_seq, row.last_public_seq)
        )
        return ConversationRow(
            id=id,
            status=Status(row.status),
            assignee_id=row.assignee_id,
            contact=ContactSummary(
                contact.id, contact.name, contact.email, contact.identifier, contact.verified
            ),
            last_seq=row.last_seq,
            last_message=last,
            last_public_message=public,
            created_at_us=row.created_us,
            updated_at_us=row.updated_us,
            priority=Priority(row.priority) if row.priority else None,
            labels=tuple(row.labels),
            snoozed_until_us=row.snoozed_until_us,
            identity_verified=row.identity_verified,
            unread_count=row.unread_count,
            agent_read_seq=row.agent_read_seq,
            visitor_read_seq=row.visitor_read_seq,
            visitor_delivered_seq=row.visitor_delivered_seq,
        )


def message(row: MessageRecord) -> MessageRow:
    author = Author(ActorKind(row.author_kind), row.author_id, row.author_name)
    return MessageRow(
        *(row.message_id, row.conversation_id, row.seq, author, row.content, row.private),
        *(row.created_us, row.position, row.edited_us, row.recalled_us),
    )


async def conversation_at(bus: CommandBus, id: str, position: int) -> ConversationRow | None:
    try:
        row: ConversationRow = await bus.query(ConversationAsOf(id, position=position))
    except ConversationNotFound:
        return None
    return row


async def messages_at(
    streams: CoreStreams, id: str, position: int, limit: int
) -> list[MessageRow] | None:
    """All of them, page by page."""
    found: list[MessageRow] = []
    after_seq = 0
    try:
        while True:
            page = await messages_as_of(
                streams, IN_CLEAR, id, position, after_seq=after_seq, limit=limit
            )
            found += page.rows
            if not page.more:
                return found
            after_seq = page.last_seq
    except ConversationNotFound:
        return None


async def whole_life(streams: Any, id: str, limit: int) -> list[Any]:
    found: list[Any] = []
    more = True
    while more:
        after = found[-1].recorded.position if found else 0
        page = await life(streams, IN_CLEAR, id, after=after, limit=limit)
        found += page.events
        more = page.more
    return found


def belongs(event: RecordedEvent, conversation: str, contact: str, rows: Folded) -> bool:
    own = {f"conversation-{conversation}", f"contact-{contact}"}
    return event.stream in own | rows.message_streams
