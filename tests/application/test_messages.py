"""Sending through the command bus: one atomic batch, one place in the sequence, one receipt."""

import asyncio

import pytest

from application import codec
from application.commands.conversation import ChangeStatus
from application.commands.message import EditMessage, RecallMessage, SendMessage
from domain import errors
from domain.actors import Actor, ActorKind, Role, Scope
from domain.conversation.conversation import Status
from domain.message.events import MessageSent
from tests.application.conftest import Driver


def send(visitor: Actor, ref: str, content: str = "你好", private: bool = False) -> SendMessage:
    assert visitor.conversation_id is not None
    return SendMessage(visitor.conversation_id, ref, content, private)


async def test_a_message_is_on_disk_with_its_place_when_the_receipt_comes(driver: Driver) -> None:
    visitor = await driver.visitor()
    receipt = await driver.execute(send(visitor, "r1"), visitor)
    (recorded,) = driver.log.read(receipt.position - 1, 1)
    event = codec.decode(recorded.type, recorded.payload)
    assert isinstance(event, MessageSent)
    assert (event.seq, event.content, recorded.position) == (1, "你好", receipt.position)
    assert recorded.stream == f"message-{receipt.result['message_id']}"


async def test_concurrent_messages_get_contiguous_numbers(driver: Driver) -> None:
    visitor = await driver.visitor()
    receipts = await asyncio.gather(
        *(driver.execute(send(visitor, f"r{i}"), visitor) for i in range(300))
    )
    assert sorted(r.result["seq"] for r in receipts) == list(range(1, 301))


async def test_a_retry_gets_the_first_receipt_and_writes_nothing(driver: Driver) -> None:
    visitor = await driver.visitor()
    first = await driver.execute(send(visitor, "r1"), visitor)
    await driver.execute(send(visitor, "r2"), visitor)
    end = driver.log.durable_position
    assert await driver.execute(send(visitor, "r1"), visitor) == first
    assert driver.log.durable_position == end


async def test_a_retry_while_the_first_is_still_on_its_way_gets_its_receipt(driver: Driver) -> None:
    visitor = await driver.visitor()
    receipts = await asyncio.gather(
        *(driver.execute(send(visitor, "same"), visitor) for _ in range(20))
    )
    assert len({(r.position, r.result["message_id"], r.result["seq"]) for r in receipts}) == 1


async def test_a_retry_after_the_conversation_was_resolved_still_gets_its_receipt(
    driver: Driver,
) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    first = await driver.execute(send(visitor, "r1"), visitor)
    await driver.execute(ChangeStatus(visitor.conversation_id or "", Status.RESOLVED), agent)
    assert await driver.execute(send(visitor, "r1"), visitor) == first
    with pytest.raises(errors.ConversationResolved):
        await driver.execute(send(visitor, "r2"), visitor)


async def test_a_ref_with_another_content_is_refused(driver: Driver) -> None:
    visitor = await driver.visitor()
    await driver.execute(send(visitor, "r1"), visitor)
    with pytest.raises(errors.RefReused):
        await driver.execute(send(visitor, "r1", "other"), visitor)


async def test_a_retry_of_an_edited_or_recalled_message_gets_the_first_receipt(
    driver: Driver,
) -> None:
    visitor = await driver.visitor()
    first = await driver.execute(send(visitor, "r1"), visitor)
    ids = (visitor.conversation_id or "", first.result["message_id"])
    await driver.execute(EditMessage(*ids, "changed"), visitor)
    assert await driver.execute(send(visitor, "r1"), visitor) == first
    await driver.execute(RecallMessage(*ids), visitor)
    assert await driver.execute(send(visitor, "r1"), visitor) == first


async def test_the_same_ref_of_another_sender_is_another_message(driver: Driver) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    one = await driver.execute(send(visitor, "r"), visitor)
    other = await driver.execute(send(visitor, "r"), agent)
    assert (one.result["seq"], other.result["seq"]) == (1, 2)


async def test_a_visitor_does_not_learn_that_a_foreign_conversation_exists(driver: Driver) -> None:
    one, other = await driver.visitor(), await driver.visitor()
    end = driver.log.durable_position
    for command in (send(other, "r"), SendMessage("no-such", "r", "hi")):
        with pytest.raises(errors.ConversationNotFound):
            await driver.execute(command, one)
    assert driver.log.durable_position == end


async def test_a_visitor_can_not_write_private_notes(driver: Driver) -> None:
    visitor = await driver.visitor()
    with pytest.raises(errors.Forbidden):
        await driver.execute(send(visitor, "r", private=True), visitor)


async def test_an_auditor_writes_nothing(driver: Driver) -> None:
    visitor, auditor = await driver.visitor(), await driver.agent(Role.AUDITOR)
    first = await driver.execute(send(visitor, "r"), visitor)
    ids = (visitor.conversation_id or "", first.result["message_id"])
    for command in (send(visitor, "x"), EditMessage(*ids, "x"), RecallMessage(*ids)):
        with pytest.raises(errors.Forbidden):
            await driver.execute(command, auditor)


async def test_an_api_key_needs_the_scope_to_write(driver: Driver) -> None:
    visitor = await driver.visitor()
    key = Actor(ActorKind.API_KEY, "k", "erp")
    with pytest.raises(errors.Forbidden):
        await driver.execute(send(visitor, "r"), key)
    key = Actor(ActorKind.API_KEY, "k", "erp", scopes=frozenset({Scope.MESSAGES_WRITE}))
    assert (await driver.execute(send(visitor, "r"), key)).result["seq"] == 1


async def test_a_private_note_does_not_exist_for_the_visitor(driver: Driver) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    note = await driver.execute(send(visitor, "n", private=True), agent)
    with pytest.raises(errors.MessageNotFound):
        await driver.execute(
            RecallMessage(visitor.conversation_id or "", note.result["message_id"]), visitor
        )


async def test_a_message_is_found_only_in_its_own_conversation(driver: Driver) -> None:
    one, other = await driver.visitor(), await driver.visitor()
    sent = await driver.execute(send(one, "r"), one)
    with pytest.raises(errors.MessageNotFound):
        await driver.execute(
            EditMessage(other.conversation_id or "", sent.result["message_id"], "x"), other
        )


async def test_a_refused_command_leaves_no_trace_in_the_sequence(driver: Driver) -> None:
    visitor = await driver.visitor()
    with pytest.raises(errors.ContentEmpty):
        await driver.execute(send(visitor, "bad", " "), visitor)
    assert (await driver.execute(send(visitor, "good"), visitor)).result["seq"] == 1
