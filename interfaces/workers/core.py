"""Role `core`: the only writer of the log; decides commands and answers core queries."""

import asyncio
import contextlib
import hashlib
import signal
import sys
import uuid
from typing import Final, Protocol

import structlog
import uvloop

from application.commands.agent import RegisterAgent
from application.ports.core import Core, Request
from application.ports.system import Ids, PasswordHasher
from application.queries.core import FindCredentials
from domain.actors import SYSTEM, Role
from interfaces.settings import Settings
from interfaces.workers.index_watch import IndexedLog, index_whole

_log = structlog.get_logger(__name__)
_SWITCH_INTERVAL_S: Final = 0.001
"""The log's writer thread comes back from the disk into a busy event loop; the default of 5 ms
would be most of its time."""

_WATCH_S: Final = 0.5

_SHORT_PASSWORD: Final = 10
"""The API asks for this many characters."""

FIRST_ADMINISTRATOR: Final = str(
    uuid.UUID(bytes=hashlib.sha256(b"kefu first administrator").digest()[:16], version=4)
)
"""Always the same id, so that a crash during the first start can't make two of them."""


class CoreProcess(Protocol):
    """What the composition root builds for this role."""

    core: Core
    ids: Ids

    @property
    def passwords(self) -> PasswordHasher:
        """For the first administrator's."""

    @property
    def indexed(self) -> IndexedLog:
        """The log, as far as its index of streams is concerned."""

    @property
    def failure(self) -> str | None:
        """Why the log takes no more events; None: it does."""

    async def start(self) -> None:
        """Begin to take commands from this process."""

    async def listen(self) -> None:
        """Take commands from other processes too."""

    async def close(self) -> None:
        """Finish what was taken, release everything."""


def run(settings: Settings, process: CoreProcess) -> int:
    """Serve until SIGTERM; returns the exit status."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    uvloop.run(_run(settings, process))
    return 0


async def _run(settings: Settings, process: CoreProcess) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await process.start()
    rebuilding = process.indexed.index_progress is not None
    whole = True
    if rebuilding:
        # Others get an answer that says why, and /readyz shows how far it is.
        await process.listen()
        try:
            whole = await index_whole(process.indexed, stop)
        except BaseException:
            await process.close()
            raise
    if whole:
        await _ensure_administrator(settings, process)
        if not rebuilding:
            await process.listen()
        _log.info("core.ready")
        await _report_failure(process, stop)
    await process.close()
    _log.info("core.stopped")


async def _report_failure(process: CoreProcess, stop: asyncio.Event) -> None:
    """Until the end, tell the operator when the log takes no more events, and when it does again.

    Readers go on; nothing that was acknowledged is lost.
    """
    told: str | None = None
    while not stop.is_set():
        failure = process.failure
        if failure is not None and told is None:
            _log.critical("core.log_read_only", error=failure)
        elif failure is None and told is not None:
            _log.warning("core.log_writable_again")
        told = failure
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _WATCH_S)


async def _ensure_administrator(settings: Settings, process: CoreProcess) -> None:
    """At the first start there is nobody who could log in: make one."""
    if await process.core.query(FindCredentials(settings.admin_email)) is not None:
        return
    password = settings.admin_password or process.ids.secret()[:20]
    one_time = settings.admin_password is None
    register = RegisterAgent(
        FIRST_ADMINISTRATOR,
        settings.admin_email,
        "Administrator",
        Role.ADMIN,
        await asyncio.to_thread(process.passwords.hash, password),
        one_time,
    )
    receipt = await process.core.execute(Request(register, SYSTEM, "first-start"))
    if not receipt.result["created"]:
        return  # there is one, with another address than the setting says now
    _log.info("core.first_administrator", email=settings.admin_email)
    if len(password) < _SHORT_PASSWORD:
        _log.warning("core.short_password", detail="KEFU_ADMIN_PASSWORD is short; change it soon")
    if one_time:
        # Printed once, never logged: it is stored as a hash only.
        print(f"first administrator: {settings.admin_email}", flush=True)
        print(f"one-time password:   {password}", flush=True)
