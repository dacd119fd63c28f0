"""A log that a newer kefu wrote: the core refuses what it can't read, and writes nothing."""

import pytest

from application.codec import NewerEventVersion
from application.commands.conversation import AssignConversation
from application.commands.message import SendMessage
from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from application.queries.core import ConversationAsOf
from tests.application.conftest import Driver

NEWER = NewEvent("conversation.assigned.v2", b'{"type":"conversation.assigned.v2"}', b"{}")


async def test_a_command_on_a_stream_with_a_newer_event_is_refused_and_nothing_is_written(
    driver: Driver,
) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    other = await driver.visitor()
    id, other_id = visitor.conversation_id or "", other.conversation_id or ""
    await driver.log.append([StreamAppend(f"conversation-{id}", ANY_VERSION, [NEWER])])
    before = driver.log.durable_position
    # Both with the state in the cache, which is one event behind, and without it.
    for _ in range(2):
        with pytest.raises(NewerEventVersion, match=r"conversation\.assigned\.v2.*newer one"):
            await driver.execute(SendMessage(id, "ref", "hello"), visitor, key="key")
        with pytest.raises(NewerEventVersion):
            await driver.execute(AssignConversation(id, agent.id), agent)
    with pytest.raises(NewerEventVersion):
        await driver.bus.query(ConversationAsOf(id, before, None))
    assert driver.log.durable_position == before
    receipt = await driver.execute(SendMessage(other_id, "ref", "hello"), other)
    assert receipt.position > before
