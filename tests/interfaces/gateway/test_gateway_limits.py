"""What a gateway refuses, as its clients see it: right code, counted, and others are served on."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from interfaces.gateway.limits import Deadlines, Refusal
from tests.interfaces.gateway.world import World, close_code, hear, tell, world_in


def refused(world: World, why: Refusal) -> int:
    assert world.gateway is not None
    return world.gateway.limits.refused[why]


async def lives(socket: ClientConnection) -> None:
    await tell(socket, type="ping", ref="still")
    assert await hear(socket, "pong") == {"type": "pong", "ref": "still"}


async def test_a_storm_of_reconnects_is_let_in_at_a_bounded_rate_and_told_when_to_come_back(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path, gateway=True, admissions_per_s=2.0) as world:
        visitor = await world.visitor()
        inside: list[ClientConnection] = []
        waits: list[int] = []
        statuses: set[int] = set()
        for _ in range(25):
            try:
                inside.append(await visitor.connect())
            except InvalidStatus as error:
                statuses.add(error.response.status_code)
                waits.append(int(error.response.headers["Retry-After"]))
        assert statuses == {503}
        assert 10 <= len(inside) < 25  # 10 at once, and those whom the time of the test let in
        assert refused(world, Refusal.ADMISSION) == len(waits)
        assert waits == sorted(waits)  # each later than the one before, not all at once again
        assert waits[-1] > 1
        await lives(inside[0])
        for socket in inside:
            await socket.close()


async def test_a_contact_that_floods_is_closed_with_1008_and_others_are_not(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path, gateway=True, contact_messages_per_s=1.0) as world:
        flooding, quiet = await world.visitor(), await world.visitor()
        async with flooding.connect() as one, quiet.connect() as other:
            with suppress(ConnectionClosed):
                for number in range(200):
                    await tell(one, type="ping", ref=str(number))
                    await asyncio.sleep(0)
            assert await close_code(one) == 1008
            assert refused(world, Refusal.CONTACT_MESSAGES) == 1
            await lives(other)


async def test_a_flood_of_pings_is_closed_with_1008(tmp_path: Path) -> None:
    async with world_in(tmp_path, gateway=True, control_frames_per_s=1.0) as world:
        visitor = await world.visitor()
        async with visitor.connect() as socket:
            with suppress(ConnectionClosed):
                for _ in range(50):
                    await socket.ping()
            assert await close_code(socket) == 1008
        assert refused(world, Refusal.CONTROL_FRAMES) == 1


async def test_a_message_whose_last_fragment_never_comes_is_closed(tmp_path: Path) -> None:
    async with world_in(tmp_path, gateway=True) as world:
        assert world.gateway is not None
        world.gateway.limits.messages = Deadlines(0.1, time.monotonic())
        visitor = await world.visitor()
        async with visitor.connect() as socket:

            async def fragments() -> None:
                async def forever():  # type: ignore[no-untyped-def]
                    while True:
                        yield "x"
                        await asyncio.sleep(0.05)

                await socket.send(forever())

            sending = asyncio.create_task(fragments())
            assert await close_code(socket) == Refusal.MESSAGE_TIME.close_code
            with pytest.raises(ConnectionClosed):
                await sending
        assert refused(world, Refusal.MESSAGE_TIME) == 1


async def test_an_unmasked_and_an_oversized_frame_have_codes_of_their_own_and_are_counted(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path, gateway=True) as world:
        visitor = await world.visitor()
        async with visitor.connect() as socket:
            socket.transport.write(b"\x81\x02hi")
            assert await close_code(socket) == 1002
        async with visitor.connect() as socket:
            await socket.send("x" * (64 * 1024 + 1))
            assert await close_code(socket) == 1009
        assert refused(world, Refusal.PROTOCOL) == 1
        assert refused(world, Refusal.TOO_BIG) == 1
