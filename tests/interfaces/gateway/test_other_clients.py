"""`/ws` is spoken by clients of several libraries alike."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.interfaces.gateway.other_clients import CLIENTS, PROTOCOL, Client, hear, tell
from tests.interfaces.gateway.world import Person, World


@pytest.fixture(params=CLIENTS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    made: Client = CLIENTS[request.param]()
    yield made
    made.drop()
    await asyncio.sleep(0)  # the transport closes in the next turn of the loop


async def test_a_visitor_talks_and_hears(world: World, client: Client) -> None:
    visitor = await world.visitor()
    conversation = {"conversation_id": visitor.conversation_id}
    assert await client.open(world.port, visitor.secret) == PROTOCOL
    await tell(client, type="subscribe", after_seq=0, **conversation)
    assert (await hear(client, "subscribed"))["last_seq"] == 0
    await tell(client, type="send", ref="one", content="我的订单到哪里了？", **conversation)
    assert (await hear(client, "ack"))["ref"] == "one"
    assert (await client.close(1000)) == 1000


async def test_a_message_in_fragments_is_one(world: World, client: Client) -> None:
    visitor = await world.visitor()
    await client.open(world.port, visitor.secret)
    await client.send(*_in_three(visitor, "客服" * 5_000))
    await hear(client, "ack")
    await tell(client, type="subscribe", after_seq=0, conversation_id=visitor.conversation_id)
    assert (await hear(client, "message"))["content"] == "客服" * 5_000


async def test_a_ping_is_answered_with_its_payload(world: World, client: Client) -> None:
    visitor = await world.visitor()
    await client.open(world.port, visitor.secret)
    for payload in (b"", b"x" * 125):
        await client.ping(payload)


async def test_the_code_of_a_closing_server_arrives(world: World, client: Client) -> None:
    visitor = await world.visitor()
    await client.open(world.port, visitor.secret)
    await tell(client, type="ping", ref="there?")
    await hear(client, "pong")
    await world.log_out(visitor)
    assert await client.closed() == 4401


async def test_a_message_that_is_too_long_closes_with_1009(world: World, client: Client) -> None:
    visitor = await world.visitor()
    await client.open(world.port, visitor.secret)
    await client.send("x" * (64 * 1024 + 1))
    assert await client.closed() == 1009


def _in_three(visitor: Person, content: str) -> tuple[str, str, str]:
    frame = {
        "type": "send",
        "ref": "long",
        "conversation_id": visitor.conversation_id,
        "content": content,
    }
    text = json.dumps(frame, ensure_ascii=False)
    third = len(text) // 3
    return text[:third], text[third : 2 * third], text[2 * third :]
