"""Whatever dies, no acknowledged message is lost, doubled or out of order.

Two ways to run the same processes: the roles one by one, as compose does, with the core started
again at once, which allows many kills; and a real `kefu serve`, whose supervisor waits longer after
each death.
"""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.roles import Roles, running_roles
from tests.faults.talkers import acknowledged, conversation, kill_in_the_middle, until
from tests.serving import Kefu, running

KILLS = 200 if os.environ.get("KEFU_SOAK") else 50
"""Deaths of the core, the roles running one by one."""
SUPERVISED_KILLS = 4
"""Deaths of the core under the supervisor, whose wait doubles with each."""
SERVE_KILLS = 3
"""Deaths of the supervisor with all of its roles."""
TALKERS = 50 if os.environ.get("KEFU_SOAK") else 25

pytestmark = pytest.mark.faults


@pytest.fixture
def roles(tmp_path: Path, database_url: str) -> Iterator[tuple[Kefu, Roles]]:
    with running_roles(tmp_path, database_url, ("core", "projector", "web")) as found:
        yield found


@pytest.mark.timeout(900 + 10 * KILLS)
async def test_no_acknowledged_message_suffers_from_deaths_of_the_core(
    roles: tuple[Kefu, Roles],
) -> None:
    kefu, processes = roles
    moment = random.Random(KILLS)

    async def kill_core() -> None:
        await asyncio.to_thread(processes.kill, "core")

    async with conversation(kefu, TALKERS) as talkers:
        for _ in range(KILLS):
            await kill_in_the_middle(talkers, kill_core, moment)
    assert acknowledged(talkers) > KILLS * TALKERS


async def test_no_acknowledged_message_suffers_from_deaths_under_the_supervisor(
    tmp_path: Path,
) -> None:
    moment = random.Random(SERVE_KILLS)
    with running(tmp_path / "data") as kefu:

        async def kill_core() -> None:
            os.kill(kefu.roles["core"], signal.SIGKILL)

        async def kill_serve() -> None:
            pids = list(kefu.roles.values())
            await asyncio.to_thread(kefu.kill)
            await until(lambda: not any(map(_is_alive, pids)), 10, "the roles died too")
            await asyncio.to_thread(kefu.start)

        async with conversation(kefu, TALKERS) as talkers:
            for _ in range(SUPERVISED_KILLS):
                await kill_in_the_middle(talkers, kill_core, moment)
            for _ in range(SERVE_KILLS):
                await kill_in_the_middle(talkers, kill_serve, moment)
        assert all(talker.reconnects >= SERVE_KILLS for talker in talkers)


def _is_alive(pid: int) -> bool:
    """Running; a zombie that nobody has waited for is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
