"""Streams read whole through the core, and the names of those who acted."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from application.commands.agent import ChangeAgent
from application.commands.conversation import AssignConversation
from application.commands.message import EditMessage, SendMessage
from application.ports.event_store import RecordedEvent
from application.queries.streams import CoreStreams
from domain.actors import Role
from tests.application.conftest import Driver
from tests.application.test_time_travel import whole_life


async def test_names_are_those_of_the_time(driver: Driver) -> None:
    agent, visitor = await driver.agent(), await driver.visitor(name="李雷")
    id = visitor.conversation_id or ""
    await driver.execute(AssignConversation(id, agent.id), agent)
    await driver.execute(ChangeAgent(agent.id, name="Renamed"), await driver.agent(Role.ADMIN))
    await driver.execute(AssignConversation(id, None), agent)
    await driver.execute(SendMessage(id, "r", "hi"), visitor)
    events = await whole_life(CoreStreams(driver.bus), id, 50)
    by_type = {step.recorded.type: step for step in events}
    assigned, taken = by_type["conversation.assigned.v1"], by_type["conversation.unassigned.v1"]
    assert (assigned.actor_name, assigned.agent_name) == ("Agent 1", "Agent 1")
    assert (taken.actor_name, taken.agent_name) == ("Renamed", "Renamed")
    assert by_type["message.sent.v1"].actor_name == "李雷"
    assert by_type["conversation.opened.v1"].actor_name == "kefu"


async def events_of(streams: Any, names: Sequence[str]) -> AsyncIterator[RecordedEvent]:
    async for event in streams.events(names):
        yield event


async def test_long_streams_and_many_streams_are_read_whole(driver: Driver) -> None:
    agent, visitor = await driver.agent(), await driver.visitor()
    id = visitor.conversation_id or ""
    names = [f"conversation-{id}"]
    for number in range(250):
        sent = await driver.execute(SendMessage(id, str(number), "x" * 500), visitor)
        names.append(f"message-{sent.result['message_id']}")
    for number in range(450):
        await driver.execute(EditMessage(id, names[1][8:], f"edit {number}"), visitor)
    del agent
    found = [event async for event in events_of(CoreStreams(driver.bus), names)]
    assert len(found) == 1 + 250 + 250 + 450
    for name in names:
        versions = [event.version for event in found if event.stream == name]
        assert versions == list(range(len(versions)))
