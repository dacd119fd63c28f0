"""The hub over the real log: who is told what."""

import asyncio
import json
from typing import Any

import pytest

from application.commands.agent import ChangeAgent
from application.commands.conversation import MoveDeliveryCursor, MoveReadCursor
from application.commands.message import EditMessage, RecallMessage
from application.commands.privacy import EraseContact
from domain.access.token import token_id
from domain.actors import Role
from interfaces.gateway.inbox import Inbox
from interfaces.gateway.subscription import Subscription
from tests.interfaces.gateway.world import Person, World


class Listener:
    """A connection that keeps what it is told."""

    def __init__(self, world: World, token_id: str = "", subject_id: str = "") -> None:
        self.token_id = token_id
        self.subject_id = subject_id
        self.raw: list[bytes] = []
        self.ended: list[int] = []
        self._hub = world.hub
        self._hub.join(self)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.raw]

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def emit(self, frame: bytes) -> None:
        self.raw.append(frame)

    def end(self, code: int, reason: str) -> None:
        self.ended.append(code)

    def subscribe(self, conversation_id: str, *, staff: bool) -> Subscription:
        subscription = Subscription(conversation_id, 0, self.emit, staff=staff)
        self._hub.subscribe(subscription, self)
        subscription.finish_replay()
        return subscription


async def test_a_message_is_told_to_its_subscribers_and_encoded_once(world: World) -> None:
    visitor, other = await world.visitor(), await world.visitor()
    await world.caught_up()
    one, two, stranger = Listener(world), Listener(world), Listener(world)
    one.subscribe(visitor.conversation_id, staff=False)
    two.subscribe(visitor.conversation_id, staff=True)
    stranger.subscribe(other.conversation_id, staff=True)
    receipt = await visitor.says("hello")
    await world.caught_up()
    (frame,) = one.frames
    assert frame["type"] == "message"
    assert frame["seq"] == 1
    assert frame["content"] == "hello"
    assert frame["position"] == receipt.position
    assert frame["author"] == {"kind": "visitor", "id": visitor.actor.id, "name": "Li Lei"}
    assert one.raw[0] is two.raw[0]
    assert stranger.raw == []


async def test_a_visitor_is_told_nothing_of_private_notes(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    await world.caught_up()
    outside, inside = Listener(world), Listener(world)
    outside.subscribe(visitor.conversation_id, staff=False)
    inside.subscribe(visitor.conversation_id, staff=True)
    note = await agent.says("a note", private=True, conversation_id=visitor.conversation_id)
    edit = EditMessage(visitor.conversation_id, note.result["message_id"], "another note")
    await world.execute(edit, agent.actor)
    await visitor.says("hello")
    await world.until(lambda: len(inside.raw) == 3)
    assert sorted(inside.types) == ["message", "message", "message_updated"]
    assert outside.types == ["message"]
    assert b"note" not in outside.raw[0]


async def test_an_edit_and_a_recall_are_told_with_the_message_as_it_is(world: World) -> None:
    visitor = await world.visitor()
    await world.caught_up()
    listener = Listener(world)
    listener.subscribe(visitor.conversation_id, staff=False)
    id = (await visitor.says("helo")).result["message_id"]
    await world.execute(EditMessage(visitor.conversation_id, id, "hello"), visitor.actor)
    await world.until(lambda: len(listener.raw) == 2)
    await world.execute(RecallMessage(visitor.conversation_id, id), visitor.actor)
    await world.until(lambda: len(listener.raw) == 3)
    _, edited, recalled = listener.frames
    assert (edited["type"], edited["content"]) == ("message_updated", "hello")
    assert edited["edited_at"] is not None
    assert (recalled["type"], recalled["content"]) == ("message_updated", "")
    assert recalled["recalled_at"] is not None


async def test_cursors_are_told_with_their_reader(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    await visitor.says("hello")
    await world.caught_up()
    listener = Listener(world)
    listener.subscribe(visitor.conversation_id, staff=False)
    await world.execute(MoveReadCursor(visitor.conversation_id, 1), agent.actor)
    await world.execute(MoveDeliveryCursor(visitor.conversation_id, 1), visitor.actor)
    await world.caught_up()
    read, delivered = listener.frames
    assert read == {
        "type": "read",
        "conversation_id": visitor.conversation_id,
        "reader": {"kind": "agent", "id": agent.actor.id},
        "seq": 1,
    }
    assert delivered["type"] == "delivered"
    assert delivered["reader"]["kind"] == "visitor"


async def test_changes_of_the_inbox_come_together(world: World) -> None:
    visitor, quiet = await world.visitor(), await world.visitor()
    await world.caught_up()
    listener = Listener(world)
    world.hub.subscribe_inbox(Inbox(listener.emit, lambda: True), listener)
    for number in range(20):
        await visitor.says(f"message {number}")
    await world.until(lambda: listener.raw and listener.frames[-1]["last_seq"] == 20)
    assert set(listener.types) == {"conversation"}
    assert len(listener.raw) < 20
    assert {frame["id"] for frame in listener.frames} == {visitor.conversation_id}
    assert quiet.conversation_id != visitor.conversation_id


async def test_the_inbox_is_told_after_the_views_were_down(world: World) -> None:
    visitor = await world.visitor()
    await world.caught_up()
    listener = Listener(world)
    world.hub.subscribe_inbox(Inbox(listener.emit, lambda: True), listener)
    world.views.down = True
    await visitor.says("hello")
    await world.caught_up()
    assert listener.raw == []
    world.views.down = False
    await world.until(lambda: listener.raw)
    assert listener.frames[0]["last_seq"] == 1


async def test_a_burst_longer_than_a_slice_is_told_whole_and_in_order(world: World) -> None:
    visitor = await world.visitor()
    await world.caught_up()
    listener = Listener(world)
    listener.subscribe(visitor.conversation_id, staff=False)
    # All at once, so that they share a few group commits and the hub finds them together.
    await asyncio.gather(*(visitor.says(str(number)) for number in range(700)))
    await world.until(lambda: len(listener.raw) == 700)
    assert [frame["seq"] for frame in listener.frames] == list(range(1, 701))


async def test_who_has_left_is_told_nothing(world: World) -> None:
    visitor = await world.visitor()
    await world.caught_up()
    listener = Listener(world)
    subscription = listener.subscribe(visitor.conversation_id, staff=True)
    world.hub.subscribe_inbox(Inbox(listener.emit, lambda: True), listener)
    world.hub.unsubscribe(subscription)
    world.hub.leave(listener)
    await visitor.says("hello")
    await world.caught_up()
    assert listener.raw == []
    assert world.hub.stats.connections == 0


async def test_typing_goes_to_the_others(world: World) -> None:
    one, two = Listener(world), Listener(world)
    one.subscribe("c", staff=False)
    two.subscribe("c", staff=True)
    world.hub.tell("c", b"{}", one)
    assert (one.raw, two.raw) == ([], [b"{}"])


async def _remember(world: World, person: Person) -> str:
    return (await world.authenticator.authenticate(person.secret)).token_id


async def test_a_revoked_token_ends_its_connections_only(world: World) -> None:
    agent = await world.agent()
    await world.caught_up()
    mine = Listener(world, await _remember(world, agent), agent.actor.id)
    other = Listener(world, "another token", agent.actor.id)
    await world.log_out(agent)
    await world.caught_up()
    assert (mine.ended, other.ended) == ([4401], [])


@pytest.mark.parametrize("change", [{"active": False}, {"role": Role.AUDITOR}])
async def test_an_agent_that_changed_must_log_in_again(
    world: World, change: dict[str, Any]
) -> None:
    agent, other = await world.agent(), await world.agent()
    await world.caught_up()
    listeners = [
        Listener(world, await _remember(world, person), person.actor.id)
        for person in (agent, agent, other)
    ]
    await world.execute(ChangeAgent(agent.actor.id, **change))
    await world.caught_up()
    assert [listener.ended for listener in listeners] == [[4401], [4401], []]


async def test_an_identity_that_changed_is_not_remembered(world: World) -> None:
    agent = await world.agent()
    await world.caught_up()
    assert (await world.authenticator.authenticate(agent.secret)).actor.role is Role.AGENT
    await world.execute(ChangeAgent(agent.actor.id, role=Role.AUDITOR))
    await world.caught_up()
    assert (await world.authenticator.authenticate(agent.secret)).actor.role is Role.AUDITOR


async def test_a_recall_is_told_after_the_views_were_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interfaces.gateway.row_updates.VIEWS_WAIT_S", 0.05)
    visitor = await world.visitor()
    id = (await visitor.says("a secret")).result["message_id"]
    await world.caught_up()
    listener = Listener(world)
    listener.subscribe(visitor.conversation_id, staff=False)
    world.views.down = True
    await world.execute(RecallMessage(visitor.conversation_id, id), visitor.actor)
    await world.caught_up()
    world.views.down = False
    await world.until(lambda: "message_updated" in listener.types)


async def test_an_erased_contacts_messages_are_told_anew_and_its_name_is_forgotten(
    world: World,
) -> None:
    visitor, other = await world.visitor(), await world.visitor()
    for number in range(3):
        await visitor.says(f"a secret {number}")
    await other.says("kept")
    await world.caught_up()
    await world.authenticator.authenticate(visitor.secret)
    listeners = [Listener(world), Listener(world)]
    listeners[0].subscribe(visitor.conversation_id, staff=False)
    listeners[1].subscribe(other.conversation_id, staff=False)
    await world.execute(EraseContact(visitor.actor.id, "asked"))
    await world.caught_up()
    await world.until(lambda: listeners[0].types.count("message_updated") == 3)
    assert "message_updated" not in listeners[1].types
    assert token_id(visitor.secret) not in world.authenticator._cache
    assert listeners[0].ended == []
