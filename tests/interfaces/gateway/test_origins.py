"""`KEFU_ALLOWED_ORIGINS` over a real handshake."""

from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.interfaces.gateway.world import World, hear, tell, world_in


@pytest.mark.parametrize("gateway", [False, True], ids=["uvicorn", "gateway"])
async def test_a_page_of_an_origin_that_is_not_listed_is_refused_with_403(
    tmp_path: Path, gateway: bool
) -> None:
    allowed = "https://shop.example"
    async with world_in(tmp_path, gateway=gateway, allowed_origins=allowed) as world:
        visitor = await world.visitor()
        for origin in (allowed, None):
            async with visitor.connect(origin=origin) as socket:
                await tell(socket, type="ping")
                await hear(socket, "pong")
        for origin in ("https://evil.example", "null"):
            with pytest.raises(InvalidStatus) as refused:
                await visitor.connect(origin=origin)
            assert refused.value.response.status_code == 403
            assert b'"code":"forbidden"' in refused.value.response.body


async def test_by_default_a_page_of_any_origin_may_connect(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect(origin="https://anything.example") as socket:
        await tell(socket, type="ping")
        await hear(socket, "pong")
