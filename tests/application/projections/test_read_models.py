"""What each event changes in the read models, over a store in memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.projections.runner import ProjectionRunner
from domain.actors import ActorKind, Role, Scope
from domain.agent.events import (
    AgentDeactivated,
    AgentReactivated,
    AgentRenamed,
    AgentRoleChanged,
)
from domain.contact.events import ContactIdentityVerified, ContactUpdated
from domain.conversation import events as c
from tests.application.projections.fakes import START_US, FakeFeed, FakeProjectionStore, History


class World:
    def __init__(self) -> None:
        self.feed = FakeFeed()
        self.history = History(self.feed.append)
        self.store = FakeProjectionStore()

    def project(self, batch_events: int = 1_000) -> None:
        runner = ProjectionRunner(self.feed, self.store, batch_events=batch_events)
        runner.catch_up(self.feed.durable_position())


@pytest.fixture
def world() -> World:
    return World()


def test_a_message_counts_in_its_conversation_and_is_stored_with_its_position(
    world: World,
) -> None:
    world.history.conversation("c1")
    world.history.visitor_says("c1", "hello")
    world.project()
    row = world.store.rows.conversations["c1"]
    message = world.store.rows.messages["c1", 1]
    assert (row.last_seq, row.last_public_seq, row.unread_count) == (1, 1, 1)
    assert (message.content, message.position, message.created_us) == (
        "hello",
        3,
        START_US + 3_000_000,
    )


def test_a_private_note_is_the_last_message_and_not_the_last_public_one(world: World) -> None:
    world.history.conversation("c1")
    world.history.visitor_says("c1", "hello")
    world.history.agent_says("c1", "a regular", private=True)
    world.project()
    row = world.store.rows.conversations["c1"]
    assert (row.last_seq, row.last_public_seq, row.unread_count) == (2, 1, 1)


def test_only_visitors_messages_after_the_furthest_agent_are_unread(world: World) -> None:
    world.history.conversation("c1")
    for number in range(4):
        world.history.visitor_says("c1", str(number))
    world.history.agent_says("c1", "answer")
    world.history.agent_reads("c1", 3)
    world.history.agent_reads("c1", 2)
    world.project()
    row = world.store.rows.conversations["c1"]
    assert (row.agent_read_seq, row.unread_count) == (3, 1)


def test_the_visitors_cursors_only_go_forward_and_change_nothing_else(world: World) -> None:
    world.history.conversation("c1")
    world.history.visitor_says("c1", "1")
    world.project()
    updated_us = world.store.rows.conversations["c1"].updated_us
    visitor = ActorKind.VISITOR
    for seq in (1, 0):
        world.history.happens("conversation-c1", c.ReadCursorMoved(visitor, "p1", seq))
        world.history.happens("conversation-c1", c.DeliveryCursorMoved(visitor, "p1", seq))
    world.project()
    row = world.store.rows.conversations["c1"]
    assert (row.visitor_read_seq, row.visitor_delivered_seq, row.unread_count) == (1, 1, 1)
    assert row.updated_us == updated_us


def test_status_assignment_priority_and_labels_follow_their_events(world: World) -> None:
    world.history.conversation("c1", verified=True)
    for event in (
        c.ConversationAssigned("a1"),
        c.ConversationPrioritised(c.Priority.URGENT),
        c.ConversationLabelled(("vip", "退款"), ()),
        c.ConversationLabelled(("new",), ("vip",)),
        c.ConversationSnoozed(START_US),
    ):
        world.history.happens("conversation-c1", event)
    world.project()
    row = world.store.rows.conversations["c1"]
    assert (row.status, row.snoozed_until_us) == ("snoozed", START_US)
    assert (row.assignee_id, row.priority, row.labels) == ("a1", "urgent", ["退款", "new"])
    assert row.identity_verified
    for event in (
        c.ConversationReopened(c.ReopenCause.TIMER),
        c.ConversationUnassigned("a1"),
        c.ConversationPrioritised(None),
        c.ConversationResolved(),
    ):
        world.history.happens("conversation-c1", event)
    world.project()
    row = world.store.rows.conversations["c1"]
    assert (row.status, row.snoozed_until_us) == ("resolved", None)
    assert (row.assignee_id, row.priority) == (None, None)


def test_a_recalled_message_keeps_its_place_and_loses_its_content(world: World) -> None:
    world.history.conversation("c1")
    seq = world.history.visitor_says("c1", "my card number is ...")
    world.history.edit("c1", seq, "my card number is")
    world.project()
    assert world.store.rows.messages["c1", 1].edited_us is not None
    world.history.recall("c1", seq)
    world.project()
    message = world.store.rows.messages["c1", 1]
    assert (message.content, message.recalled_us) == ("", START_US + 5_000_000)


def test_contacts_agents_and_api_keys_follow_their_events(world: World) -> None:
    world.history.contact("p1", "Li")
    world.history.happens("contact-p1", ContactUpdated("李雷", "li@example.cn"))
    world.history.happens("contact-p1", ContactIdentityVerified())
    world.history.agent("a1", "Mei")
    world.history.happens("agent-a1", AgentRenamed("韩梅梅"))
    world.history.happens("agent-a1", AgentRoleChanged(Role.AUDITOR))
    world.history.happens("agent-a1", AgentDeactivated())
    world.history.api_key("k1", "erp", Scope.EVENTS_READ)
    world.history.revoke("k1")
    world.history.revoke("a-session-is-in-no-view")
    world.project()
    rows = world.store.rows
    assert (rows.contacts["p1"].name, rows.contacts["p1"].verified) == ("李雷", True)
    agent = rows.agents["a1"]
    assert (agent.name, agent.role, agent.active) == ("韩梅梅", "auditor", False)
    assert rows.api_keys["k1"].scopes == ["events:read"]
    assert rows.api_keys["k1"].revoked_us is not None
    assert set(rows.api_keys) == {"k1"}
    assert world.store.parked == []
    world.history.happens("agent-a1", AgentReactivated())
    world.project()
    assert rows.agents["a1"].active


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["visitor", "agent", "note", "read", "edit", "recall"]),
        st.sampled_from(["c1", "c2"]),
        st.integers(0, 6),
    ),
    max_size=25,
)


def tell(history: History, steps: list[tuple[str, str, int]]) -> None:
    """A story of two conversations from generated steps."""
    said = {"c1": 0, "c2": 0}
    for conversation in said:
        history.conversation(conversation)
    for step, conversation, number in steps:
        match step:
            case "visitor":
                said[conversation] = history.visitor_says(conversation, f"text {number}")
            case "agent" | "note":
                private = step == "note"
                said[conversation] = history.agent_says(conversation, "reply", private=private)
            case "read" if number <= said[conversation]:
                history.agent_reads(conversation, number)
            case "edit" if 0 < number <= said[conversation]:
                history.edit(conversation, number, "edited")
            case "recall" if 0 < number <= said[conversation]:
                history.recall(conversation, number)


@settings(max_examples=200, deadline=None)
@given(steps=_STEPS, batch_events=st.integers(1, 7))
def test_rows_do_not_depend_on_where_batches_end(
    steps: list[tuple[str, str, int]], batch_events: int
) -> None:
    whole, parts = World(), World()
    for world, size in ((whole, 1_000), (parts, batch_events)):
        tell(world.history, steps)
        world.project(size)
    assert parts.store.rows == whole.store.rows
    assert parts.store.parked == whole.store.parked == []


def test_a_message_accepted_in_one_batch_and_sent_in_the_next_stays_unread(world: World) -> None:
    world.history.conversation("c1")
    world.history.visitor_says("c1", "1")
    world.history.agent_reads("c1", 1)
    world.history.visitor_says("c1", "2")
    world.project(batch_events=5)
    assert world.store.rows.conversations["c1"].unread_count == 1
