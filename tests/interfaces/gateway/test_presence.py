"""Presence: agents who ask for it are told when the visitor of a conversation comes and goes."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from tests.interfaces.gateway.world import World, hear, tell

SWEEP_S = 0.1


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interfaces.gateway.presence.SWEEP_S", SWEEP_S)
    monkeypatch.setattr("interfaces.gateway.presence.RECHECK_S", 0.3)


async def watch(socket: ClientConnection, conversation_id: str) -> dict[str, Any]:
    """Subscribe with presence; the first `presence` frame."""
    await tell(socket, type="subscribe", conversation_id=conversation_id, presence=True)
    return await hear(socket, "presence")


async def test_an_agent_is_told_when_the_visitor_comes_and_goes(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    async with agent.connect() as watching:
        first = await watch(watching, visitor.conversation_id)
        assert first == {
            "type": "presence",
            "conversation_id": visitor.conversation_id,
            "subject": {"kind": "visitor", "id": visitor.actor.id},
            "online": False,
        }
        async with visitor.connect():
            assert (await hear(watching))["online"] is True
        assert (await hear(watching))["online"] is False


async def test_a_visitor_is_online_until_its_last_connection_has_gone(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    async with agent.connect() as watching, visitor.connect():
        assert (await watch(watching, visitor.conversation_id))["online"] is True
        async with visitor.connect():
            pass
        await world.until(lambda: world.hub.bus.here(visitor.actor.id) == 1)
        await asyncio.sleep(3 * SWEEP_S)
        await tell(watching, type="ping")
        assert (await hear(watching))["type"] == "pong"


async def test_a_page_that_is_loaded_again_was_not_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interfaces.gateway.presence.SWEEP_S", 30.0)
    visitor, agent = await world.visitor(), await world.agent()
    async with agent.connect() as watching:
        async with visitor.connect():
            assert (await watch(watching, visitor.conversation_id))["online"] is True
        await world.until(lambda: world.hub.bus.here(visitor.actor.id) == 0)
        async with visitor.connect():
            await world.until(lambda: world.hub.bus.here(visitor.actor.id) == 1)
            await tell(watching, type="ping")
            assert (await hear(watching))["type"] == "pong"


async def test_who_did_not_ask_is_not_told_of_presence(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    async with agent.connect() as socket:
        await tell(socket, type="subscribe", conversation_id=visitor.conversation_id)
        assert (await hear(socket))["type"] == "subscribed"
        async with visitor.connect():
            await world.until(lambda: world.hub.bus.here(visitor.actor.id) == 1)
        await tell(socket, type="ping")
        assert (await hear(socket))["type"] == "pong"


async def test_a_visitor_may_not_watch(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await tell(socket, type="subscribe", conversation_id=visitor.conversation_id, presence=True)
        assert (await hear(socket))["code"] == "forbidden"


async def test_presence_is_not_in_the_log(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    await world.caught_up()
    position = world.log.durable_position
    async with agent.connect() as watching:
        await watch(watching, visitor.conversation_id)
        async with visitor.connect() as socket:
            assert (await hear(watching))["online"] is True
            await tell(socket, type="typing", conversation_id=visitor.conversation_id, on=True)
            assert (await hear(watching))["type"] == "typing"
    assert world.log.durable_position == position
