"""Subscribing: everything after a seq, then live; each once, in order, over a real server."""

import asyncio
import itertools

from websockets.asyncio.client import ClientConnection

from application.commands.message import EditMessage, RecallMessage
from tests.interfaces.gateway.world import World, hear, hear_until, tell


async def subscribe(socket: ClientConnection, conversation_id: str, after_seq: int = 0) -> None:
    await tell(socket, type="subscribe", conversation_id=conversation_id, after_seq=after_seq)


async def test_a_subscription_replays_then_says_where_it_is_then_goes_on_live(world: World) -> None:
    visitor = await world.visitor()
    for number in range(5):
        await visitor.says(str(number))
    async with visitor.connect() as socket:
        await subscribe(socket, visitor.conversation_id, 2)
        heard = await hear_until(socket, "subscribed")
        assert [frame["seq"] for frame in heard[:-1]] == [3, 4, 5]
        assert heard[-1] == {
            "type": "subscribed",
            "conversation_id": visitor.conversation_id,
            "last_seq": 5,
        }
        await visitor.says("live")
        assert (await hear(socket))["seq"] == 6


async def test_a_replayed_message_equals_the_live_one(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await subscribe(socket, visitor.conversation_id)
        await hear(socket, "subscribed")
        await visitor.says("hello 你好")
        live = await hear(socket, "message")
    async with visitor.connect() as socket:
        await subscribe(socket, visitor.conversation_id)
        assert await hear(socket, "message") == live


async def test_pages_of_a_long_history_join_without_gap(world: World) -> None:
    visitor = await world.visitor()
    await asyncio.gather(*(visitor.says(str(number)) for number in range(450)))
    async with visitor.connect() as socket:
        await subscribe(socket, visitor.conversation_id)
        heard = await hear_until(socket, "subscribed")
    assert [frame["seq"] for frame in heard[:-1]] == list(range(1, 451))


async def test_a_client_that_comes_and_goes_hears_every_message_once(world: World) -> None:
    """The pain of an agent that misses a reply after a reconnect (integrator conventions, 3)."""
    visitor, total, heard = await world.visitor(), 300, [0]

    async def talk() -> None:
        for number in range(total):
            await visitor.says(str(number))
            await asyncio.sleep(0)

    talking = asyncio.create_task(talk())
    for cut in itertools.cycle((1, 7, 30)):
        async with visitor.connect() as socket:
            await subscribe(socket, visitor.conversation_id, heard[-1])
            for _ in range(cut):
                if heard[-1] == total:
                    break
                heard.append((await hear(socket, "message"))["seq"])
        if heard[-1] == total:
            break
    await talking
    assert heard == list(range(total + 1))


async def test_messages_during_a_slow_replay_come_after_it(world: World) -> None:
    visitor = await world.visitor()
    for number in range(3):
        await visitor.says(str(number))
    world.views.page_gate = asyncio.Event()
    async with visitor.connect() as socket:
        before = world.views.queries
        await subscribe(socket, visitor.conversation_id)
        await world.until(lambda: world.views.queries > before)
        for number in range(3):
            await visitor.says(f"live {number}")
        await world.caught_up()
        world.views.page_gate.set()
        heard = [await hear(socket, "message") for _ in range(6)]
    assert [frame["seq"] for frame in heard] == [1, 2, 3, 4, 5, 6]


async def test_the_replay_waits_for_views_that_are_behind(world: World) -> None:
    visitor = await world.visitor()
    for number in range(3):
        await visitor.says(str(number))
    await world.caught_up()
    world.views.hold_at = 1
    async with visitor.connect() as socket:
        await subscribe(socket, visitor.conversation_id)
        await tell(socket, type="ping")
        assert (await hear(socket))["type"] == "pong"
        world.views.hold_at = None
        heard = await hear_until(socket, "subscribed")
    assert [frame["seq"] for frame in heard[:-1]] == [1, 2, 3]


async def test_without_views_a_subscribe_fails_and_live_subscribers_go_on(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    id = visitor.conversation_id
    async with visitor.connect() as one, agent.connect() as two:
        await subscribe(one, id)
        await hear(one, "subscribed")
        world.views.down = True
        await subscribe(two, id)
        assert (await hear(two))["code"] == "unavailable"
        await visitor.says("hello")
        assert (await hear(one))["seq"] == 1
        world.views.down = False
        await subscribe(two, id)
        heard = await hear_until(two, "subscribed")
        assert [frame["seq"] for frame in heard[:-1]] == [1]


async def test_an_edit_and_a_recall_during_the_replay_are_not_lost(world: World) -> None:
    visitor = await world.visitor()
    ids = [(await visitor.says(str(n))).result["message_id"] for n in range(2)]
    await world.caught_up()
    world.views.page_gate = asyncio.Event()
    id = visitor.conversation_id
    async with visitor.connect() as socket:
        before = world.views.queries
        await subscribe(socket, id)
        await world.until(lambda: world.views.queries > before)
        await world.execute(EditMessage(id, ids[0], "edited"), visitor.actor)
        await world.execute(RecallMessage(id, ids[1]), visitor.actor)
        await world.caught_up()
        world.views.page_gate.set()
        contents = {}
        while contents != {1: "edited", 2: ""}:
            frame = await hear(socket)
            if frame["type"] in ("message", "message_updated"):
                contents[frame["seq"]] = frame["content"]


async def test_a_visitor_is_not_replayed_private_notes(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    id = visitor.conversation_id
    await visitor.says("one")
    await agent.says("a note", private=True, conversation_id=id)
    await visitor.says("three")
    async with visitor.connect() as one, agent.connect() as two:
        await subscribe(one, id)
        await subscribe(two, id)
        seqs = [
            [frame["seq"] for frame in (await hear_until(socket, "subscribed"))[:-1]]
            for socket in (one, two)
        ]
    assert seqs == [[1, 3], [1, 2, 3]]


async def test_staff_is_told_of_a_conversation_that_does_not_exist(world: World) -> None:
    agent = await world.agent()
    async with agent.connect() as socket:
        await subscribe(socket, "nowhere")
        assert (await hear(socket))["code"] == "conversation-not-found"


async def test_after_an_unsubscribe_nothing_comes(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await subscribe(socket, visitor.conversation_id)
        await hear(socket, "subscribed")
        await tell(socket, type="unsubscribe", conversation_id=visitor.conversation_id)
        await tell(socket, type="ping")
        await hear(socket, "pong")
        await visitor.says("hello")
        await world.caught_up()
        await tell(socket, type="ping")
        assert (await hear(socket))["type"] == "pong"


async def test_an_unsubscribe_stops_the_replay_under_way(world: World) -> None:
    visitor = await world.visitor()
    await visitor.says("hello")
    world.views.page_gate = asyncio.Event()
    async with visitor.connect() as socket:
        before = world.views.queries
        await subscribe(socket, visitor.conversation_id)
        await world.until(lambda: world.views.queries > before)
        await tell(socket, type="unsubscribe", conversation_id=visitor.conversation_id)
        await tell(socket, type="ping", ref="1")
        await hear(socket, "pong")
        world.views.page_gate.set()
        await tell(socket, type="ping", ref="2")
        heard = await hear_until(socket, "pong")
        await visitor.says("another")
        await world.caught_up()
        await tell(socket, type="ping", ref="3")
        heard += await hear_until(socket, "pong")
    assert {frame["type"] for frame in heard} == {"pong"}


async def test_a_repeated_subscribe_replaces_the_first_and_gives_each_message_once(
    world: World,
) -> None:
    visitor = await world.visitor()
    for number in range(3):
        await visitor.says(str(number))
    await world.caught_up()
    world.views.page_gate = asyncio.Event()
    async with visitor.connect() as socket:
        before = world.views.queries
        await subscribe(socket, visitor.conversation_id)
        await world.until(lambda: world.views.queries > before)
        await subscribe(socket, visitor.conversation_id)
        await world.until(lambda: world.views.queries > before + 1)
        world.views.page_gate.set()
        await hear(socket, "message")
        await visitor.says("last")
        seqs = [1]
        while seqs[-1] != 4:
            seqs.append((await hear(socket, "message"))["seq"])
    assert seqs == [1, 2, 3, 4]
