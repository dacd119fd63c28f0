"""A web role for tests of the gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interfaces.gateway.world import World, world_in


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as running:
        yield running
