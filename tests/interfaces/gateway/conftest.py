"""A web role, and one behind a gateway, for tests of what clients see: the same on both."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interfaces.gateway.world import World, world_in
from tests.valkey_cluster import cluster as cluster


@pytest.fixture(params=["uvicorn", "gateway"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path, gateway=request.param == "gateway") as running:
        yield running
