"""Role `automation`: what happens by itself. Snoozed conversations wake up; sagas go on."""

import asyncio
import contextlib
import signal
from typing import Final

import structlog

from application.commands.conversation import WakeConversation
from application.ports.core import Core, Request
from application.ports.system import Clock, Ids
from application.ports.views import Views
from application.sagas.worker import SagaWorker
from domain.actors import SYSTEM
from domain.errors import DomainError, InfrastructureError

_log = structlog.get_logger(__name__)
_PERIOD_S: Final = 1.0
_BATCH: Final = 100


async def run(core: Core, views: Views, clock: Clock, ids: Ids, sagas: SagaWorker) -> None:
    """Until SIGTERM; survives a core or views that are down."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _log.info("automation.ready")
    working = asyncio.create_task(sagas.run(stop))
    waking = asyncio.create_task(_wake(core, views, clock, ids, stop))
    # A bug in one of them ends the role, which is then started again.
    await asyncio.wait((working, waking), return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    await asyncio.gather(working, waking)


async def _wake(core: Core, views: Views, clock: Clock, ids: Ids, stop: asyncio.Event) -> None:
    failing = False
    while not stop.is_set():
        try:
            await wake_due(core, views, clock, ids)
            failing = False
        except InfrastructureError as error:
            if not failing:
                _log.warning("automation.waiting", error=error.detail)
            failing = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PERIOD_S)


async def wake_due(core: Core, views: Views, clock: Clock, ids: Ids) -> int:
    """Send one command for every snoozed conversation whose time has come.

    The views may be behind: the aggregate decides, and a second command says nothing new.

    Returns:
        Number of commands.
    """
    due = await views.snoozed_due(clock.now_us(), _BATCH)
    for conversation_id in due:
        try:
            await core.execute(Request(WakeConversation(conversation_id), SYSTEM, ids.new()))
        except DomainError as error:
            _log.error("automation.refused", conversation=conversation_id, error=error.detail)
    return len(due)
