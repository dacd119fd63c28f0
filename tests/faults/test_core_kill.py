"""Whatever dies, no acknowledged message is lost, doubled or out of order.

Two ways to run the same processes: the roles one by one, as compose does, with the core started
again at once, which allows many kills; and a real `kefu serve`, whose supervisor waits longer after
each death.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import conninfo

from tests.faults.talkers import Talker, check
from tests.serving import Kefu, running, wait_until

KILLS = 200 if os.environ.get("KEFU_SOAK") else 50
"""Deaths of the core, the roles running one by one."""
SUPERVISED_KILLS = 4
"""Deaths of the core under the supervisor, whose wait doubles with each."""
SERVE_KILLS = 3
"""Deaths of the supervisor with all of its roles."""
TALKERS = 50
_RECOVERY_S = 30.0
_SETTLE_S = 60.0

pytestmark = pytest.mark.faults


@contextlib.asynccontextmanager
async def _talk(kefu: Kefu) -> AsyncIterator[list[Talker]]:
    """Clients that talk while the body kills, then say no more; then everything is checked."""
    sessions = [await asyncio.to_thread(kefu.visitor) for _ in range(TALKERS)]
    talkers = [
        Talker(kefu, session["token"], session["conversation_id"], 1 if number % 2 else 4)
        for number, session in enumerate(sessions)
    ]
    async with asyncio.TaskGroup() as group:
        for talker in talkers:
            group.create_task(talker.talk())
        yield talkers
        for talker in talkers:
            talker.talking = False
        await _until(lambda: all(t.finished for t in talkers), _SETTLE_S, "everybody finished")
    for talker in talkers:
        await asyncio.to_thread(check, kefu, talker)
    assert kefu.cli("log", "verify", check=False).returncode == 0


async def _until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    await asyncio.to_thread(wait_until, condition, timeout_s, what)


async def _kill_in_the_middle(
    talkers: list[Talker], kill: Callable[[], Awaitable[None]], moment: random.Random
) -> None:
    """Kill while messages are under way, then wait until they get through again."""
    await asyncio.sleep(moment.uniform(0.0, 0.3))
    await kill()
    before = _acknowledged(talkers)
    # Some more than were under way: acks of the time before may still be on the wire.
    enough = before + 3 * TALKERS
    await _until(lambda: _acknowledged(talkers) > enough, _RECOVERY_S, "acks after the kill")


def _acknowledged(talkers: list[Talker]) -> int:
    return sum(len(talker.acks) for talker in talkers)


# The roles one by one.


class Roles:
    """`kefu serve --role NAME` for each role; the core is started again as soon as it is dead."""

    def __init__(self, kefu: Kefu) -> None:
        self._kefu = kefu
        self._output = kefu.log_file.open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        self.processes[role] = subprocess.Popen(
            self._kefu.command("serve", "--role", role),
            env=self._kefu.full_environment(),
            stdout=self._output,
            stderr=self._output,
        )

    def ready(self) -> bool:
        for role, process in self.processes.items():
            assert process.poll() is None, f"{role} ended: {self._kefu.output()[-2000:]}"
        return self._kefu.get("/readyz")[0] == 200

    async def kill_core(self) -> None:
        core = self.processes["core"]
        assert core.poll() is None, f"the core ended by itself: {self._kefu.output()[-2000:]}"
        core.send_signal(signal.SIGKILL)
        await asyncio.to_thread(core.wait)
        self.start("core")

    def stop(self) -> None:
        for role in ("web", "projector", "core"):
            process = self.processes.get(role)
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._output.close()


@pytest.fixture
def roles(tmp_path: Path, database_url: str) -> Iterator[tuple[Kefu, Roles]]:
    parts = conninfo.conninfo_to_dict(database_url)
    # The setting takes the form of a URL only.
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={quote(str(parts['host']), '')}"
    environment = {
        "KEFU_DATABASE_URL": url,
        # Most of a start is imports: compile them once and not with each of the starts.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(tmp_path / "pycache"),
    }
    kefu = Kefu(tmp_path / "data", environment=environment)
    started = Roles(kefu)
    try:
        for role in ("core", "projector", "web"):
            started.start(role)
        wait_until(started.ready, 60, "kefu ready")
        yield kefu, started
    finally:
        started.stop()


@pytest.mark.timeout(120 + 10 * KILLS)
async def test_no_acknowledged_message_suffers_from_deaths_of_the_core(
    roles: tuple[Kefu, Roles],
) -> None:
    kefu, processes = roles
    moment = random.Random(KILLS)
    async with _talk(kefu) as talkers:
        for _ in range(KILLS):
            await _kill_in_the_middle(talkers, processes.kill_core, moment)
    assert _acknowledged(talkers) > KILLS * TALKERS


# A real `kefu serve`.


@pytest.mark.timeout(240)
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
            await _until(lambda: not any(map(_is_alive, pids)), 10, "the roles died too")
            await asyncio.to_thread(kefu.start)

        async with _talk(kefu) as talkers:
            for _ in range(SUPERVISED_KILLS):
                await _kill_in_the_middle(talkers, kill_core, moment)
            for _ in range(SERVE_KILLS):
                await _kill_in_the_middle(talkers, kill_serve, moment)
        assert all(talker.reconnects >= SERVE_KILLS for talker in talkers)


def _is_alive(pid: int) -> bool:
    """Running; a zombie that nobody has waited for is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
