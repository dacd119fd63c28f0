"""A core that is killed between a key and its event, or between an erasure and its key's end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from application.commands.bus import CommandBus
from application.queries.core import ErasureOf
from application.sealing import Opener
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.keys.signing import FileSigner
from infrastructure.keys.sweep import destroy_erased
from infrastructure.system import SystemClock
from tests.keys import subject_keys

pytestmark = pytest.mark.faults

SCRIPT = """
import asyncio, os, signal, sys
from pathlib import Path
from application.commands.access import StartVisitorSession
from application.commands.bus import CommandBus
from application.commands.message import SendMessage
from application.commands.privacy import EraseContact
from application.ports.core import Request
from domain.actors import SYSTEM, Actor, ActorKind
from infrastructure.eventlog.store import EventLog
from infrastructure.keys.master import FileSource
from infrastructure.keys.store import SubjectKeyStore
from infrastructure.system import SystemClock

directory, moment = Path(sys.argv[1]), sys.argv[2]

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

class Log:
    def __init__(self, log):
        self.log = log
    def __getattr__(self, name):
        return getattr(self.log, name)
    async def append_all(self, batches):
        if moment == "between key and event":
            die()
        outcome = await self.log.append_all(batches)
        if moment == "between event and destruction" and "erased" in repr(batches):
            die()
        return outcome

async def main():
    keys = SubjectKeyStore(directory / "keys", FileSource(directory / "keys" / "master.key"))
    if moment == "in the destruction":
        keys._truncate = die
    if moment == "before the key":
        keys.save = die
    bus = CommandBus(Log(EventLog.open(directory / "log")), SystemClock(), keys=keys)
    bus.start()
    start = StartVisitorSession("t", 10**18, "c-1", "v-1", name="planted name")
    await bus.execute(Request(start, SYSTEM, "r"))
    visitor = Actor(ActorKind.VISITOR, "c-1", "planted name", conversation_id="v-1")
    await bus.execute(Request(SendMessage("v-1", "m", "planted words"), visitor, "r"))
    await bus.execute(Request(EraseContact("c-1", "asked"), SYSTEM, "r"))

asyncio.run(main())
"""


def killed(directory: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(directory), moment], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["before the key", "between key and event"])
def test_a_key_without_an_event_does_no_harm_and_is_used_by_the_retry(
    tmp_path: Path, moment: str
) -> None:
    killed(tmp_path, moment)
    with EventLog.open(tmp_path / "log") as log:
        assert log.durable_position == 0
    with subject_keys(tmp_path / "keys") as keys:
        id = keys.key_id("c-1")
        assert (id is None) == (moment == "before the key")
    killed(tmp_path, "between event and destruction")  # the same commands, up to there
    with EventLog.open(tmp_path / "log") as log, subject_keys(tmp_path / "keys") as keys:
        assert id in (None, keys.key_id("c-1"))
        for recorded in log.read(0, 100):
            assert not Opener(keys).open_envelope(recorded).erased


@pytest.mark.parametrize("moment", ["between event and destruction", "in the destruction"])
async def test_an_erasure_that_is_killed_is_finished_at_the_next_start(
    tmp_path: Path, moment: str
) -> None:
    killed(tmp_path, moment)
    with EventLog.open(tmp_path / "log") as log, subject_keys(tmp_path / "keys") as keys:
        assert any(recorded.type == "contact.erased.v1" for recorded in log.read(0, 100))
        feed = LogReader(tmp_path / "log")
        destroy_erased(feed, keys)
        feed.close()
        assert keys.is_destroyed("c-1")
        sealed = [r for r in log.read(0, 100) if b'"keyId"' in r.metadata]
        assert sealed
        assert all(Opener(keys).open_envelope(recorded).erased for recorded in sealed)
        signer = FileSigner(tmp_path / "keys" / "sign")
        bus = CommandBus(log, SystemClock(), keys=keys, signer=signer)
        proof = await bus.query(ErasureOf("c-1"))
        assert proof.certificate.key_id == keys.key_id("c-1")
