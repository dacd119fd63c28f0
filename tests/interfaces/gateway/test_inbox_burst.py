"""Many conversations change at once, for example when the views come back after an outage."""

import asyncio

from tests.interfaces.gateway.world import World, hear, tell


async def test_a_burst_of_changes_does_not_close_an_inbox_that_reads(world: World) -> None:
    agent = await world.agent()
    visitors = [await world.visitor() for _ in range(80)]
    async with agent.connect(max_size=None) as socket:
        await tell(socket, type="subscribe_inbox")
        await tell(socket, type="ping")
        await hear(socket, "pong")
        await asyncio.gather(*(visitor.says("x" * 16_000) for visitor in visitors))
        seen: set[str] = set()
        while len(seen) < len(visitors):
            frame = await hear(socket, "conversation")
            if frame["last_seq"] == 1:
                seen.add(frame["id"])
