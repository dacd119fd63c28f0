"""The effect worker's parts."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from application.ports.core import Core
from application.ports.participants import Participant
from application.queries.streams import CoreStreams
from application.sagas.notices import ConversationParticipant
from application.sagas.unconfigured import UnconfiguredParticipant
from application.sagas.worker import SagaWorker
from domain.errors import Unavailable
from infrastructure.eventlog.reader import LogReader
from infrastructure.sagas.checkpoint import CheckpointFile
from infrastructure.system import SystemClock
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors, saga_collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from infrastructure.transparency.files import log_id
from interfaces.bootstrap.participants import http_participants
from interfaces.settings import Settings

_FIRST_LOG_S: Final = 30.0
_LOOK_S: Final = 0.05


@asynccontextmanager
async def participants(settings: Settings, core: Core) -> AsyncIterator[Mapping[str, Participant]]:
    """Those whom sagas call.

    Raises:
        InvalidInput: a profile or a file of secrets is wrong.
    """
    over_http = http_participants(settings)
    try:
        yield {
            "conversation": ConversationParticipant(core),
            "payment": UnconfiguredParticipant("KEFU_PAYMENT_URL"),
            "erp": UnconfiguredParticipant("KEFU_ERP_URL"),
            **over_http.ports(),
        }
    finally:
        await over_http.close()


@asynccontextmanager
async def saga_worker(settings: Settings, core: Core) -> AsyncIterator[SagaWorker]:
    """The worker over the log's files; waits for the core to make the log at a first start.

    Raises:
        Unavailable: there is none yet.
    """
    path = settings.data_dir / "sagas" / "open.json"
    checkpoint = CheckpointFile(path, await _log_id(settings))
    async with participants(settings, core) as called:
        with contextlib.closing(LogReader(settings.log_dir)) as feed:
            worker = SagaWorker(
                feed,
                core,
                CoreStreams(core),
                called,
                checkpoint,
                SystemClock(),
                call_timeout_s=settings.saga_call_timeout_s,
                calls_at_once=settings.saga_calls_at_once,
            )
            render = collectors.renderer(lambda: saga_collectors.saga_families(worker.stats))
            server = MetricsServer(make_private(settings.socket_dir), "automation", render)
            server.start()
            try:
                yield worker
            finally:
                server.close()


async def _log_id(settings: Settings) -> str:
    deadline = time.monotonic() + _FIRST_LOG_S
    while True:
        try:
            return log_id(settings.log_dir)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise Unavailable(f"There is no log in {settings.log_dir} yet.") from None
        await asyncio.sleep(_LOOK_S)
