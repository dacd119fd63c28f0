"""500 connections through a gateway, of which now the core dies and now the gateway itself."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.roles import running_roles
from tests.faults.talkers import acknowledged, conversation, kill_in_the_middle

CONNECTIONS = 500
KILLS = 5
"""Deaths of each."""
_PAUSE_S = 0.5

pytestmark = pytest.mark.faults


async def test_no_acknowledged_message_suffers_from_deaths_of_core_and_gateway(
    tmp_path: Path, database_url: str
) -> None:
    moment = random.Random(KILLS)
    order = ("core", "projector", "web", "gateway")
    # All come from one address, and come back at once.
    limits = {"KEFU_CONNECTS_PER_S": "0"}
    with running_roles(tmp_path, database_url, order, **limits) as (kefu, roles):

        async def kill_core() -> None:
            await asyncio.to_thread(roles.kill, "core")

        async def kill_gateway() -> None:
            await asyncio.to_thread(roles.kill, "gateway")

        async with conversation(kefu, CONNECTIONS, pause_s=_PAUSE_S) as talkers:
            for _ in range(KILLS):
                await kill_in_the_middle(talkers, kill_core, moment)
                await kill_in_the_middle(talkers, kill_gateway, moment)
        assert all(talker.reconnects >= KILLS for talker in talkers)
        assert acknowledged(talkers) > 2 * KILLS * CONNECTIONS
