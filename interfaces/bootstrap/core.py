"""The core's parts."""

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec
import structlog
from prometheus_client.core import Metric

from application.commands.bus import CommandBus
from application.ports.core import Core
from application.ports.system import Ids, PasswordHasher
from application.sagas.all import definitions
from domain.errors import InvalidInput
from infrastructure.eventlog import operations
from infrastructure.eventlog.archive.worker import ArchiveWorker
from infrastructure.eventlog.errors import LogLocked as LogLocked
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.scrubber import Scrubber, ScrubberThread
from infrastructure.eventlog.store import EventLog
from infrastructure.ipc.server import CoreServer
from infrastructure.keys.sweep import destroy_erased, require_keys
from infrastructure.system import SystemClock, SystemIds
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from interfaces.bootstrap.archive import log_archive
from interfaces.bootstrap.keys import certificate_signer, subject_keys
from interfaces.settings import Settings
from interfaces.workers.index_watch import IndexedLog

_log = structlog.get_logger(__name__)


class CoreRole:
    """The core's parts, opened in order."""

    def __init__(self, settings: Settings) -> None:
        self.ids: Ids = SystemIds()
        self._settings = settings
        self._scrubber: Scrubber | None = None
        self._scrubbing: ScrubberThread | None = None
        self._archiver: ArchiveWorker | None = None
        # First: without the master key nothing may be written.
        self._keys = subject_keys(settings)
        self._signer = certificate_signer(settings)
        archive = log_archive(settings) if settings.archive_url is not None else None
        if archive is not None:
            archive.attach()
        self._log = EventLog.open(
            settings.log_dir,
            max_segment_bytes=settings.segment_mb * 1024 * 1024,
            max_segment_age_s=settings.segment_age_s,
            index_in_background=True,
        )
        try:
            require_keys(self._log, self._keys)
        except InvalidInput:
            self._log.close()
            self._keys.close()
            raise
        if (found := self._log.recovered) is not None:
            event = "log.events_missing" if found.missing else "log.torn_tail_cut"
            _log.critical(event, missing_events=found.missing, cut_bytes=found.cut)
        if archive is not None:
            rate = settings.archive_mb_per_s * 1e6
            self._archiver = archive.worker(lambda: self._log.durable_position, rate)

    @property
    def passwords(self) -> PasswordHasher:
        """For the first administrator; every later start goes without."""
        from interfaces.bootstrap.passwords import password_hasher

        return password_hasher()

    @property
    def failure(self) -> str | None:
        """Why the log takes no more events; None: it does."""
        return self._log.failure

    @property
    def indexed(self) -> IndexedLog:
        """The log, as far as its index of streams is concerned."""
        return self._log

    async def start(self) -> None:
        """Destroy keys that came back; start the command bus, and the scrubber beside it."""
        settings = self._settings
        await asyncio.to_thread(self._destroy_erased)
        if settings.scrub_mb_per_s:
            self._scrubber = Scrubber(settings.log_dir, settings.scrub_mb_per_s, _report_damage)
            self._scrubbing = ScrubberThread(self._scrubber)
        limit = settings.queue_limit
        self._bus = CommandBus(
            self._log,
            SystemClock(),
            queue_limit=limit,
            keys=self._keys,
            signer=self._signer,
            sagas=definitions(settings.refund_timing),
        )
        self.core: Core = self._bus
        self._bus.start()

    async def listen(self) -> None:
        """Take commands over the socket, and answer scrapes."""
        settings = self._settings
        make_private(settings.socket_dir)
        self._server = CoreServer(self._bus)
        await self._server.start(settings.core_socket)
        self._metrics = MetricsServer(
            settings.socket_dir, "core", collectors.renderer(self._families)
        )
        self._metrics.start()
        if self._archiver:
            self._archiver.start()

    def _destroy_erased(self) -> None:
        with contextlib.closing(LogReader(self._settings.log_dir)) as feed:
            if found := destroy_erased(feed, self._keys):
                _log.warning("keys.destroyed_again", keys=found)

    def _families(self) -> Iterator[Metric]:
        yield from collectors.core_families(self._bus.stats, self._log)
        yield from collectors.index_families(self._log)
        if self._scrubber is not None:
            yield from collectors.scrub_families(self._scrubber.state)
        if self._archiver is not None:
            yield from collectors.archive_families(self._archiver.stats)

    async def close(self) -> None:
        """Finish what was taken, close the log."""
        if self._scrubbing is not None:
            self._scrubbing.close()
        await self._bus.close()
        await self._server.close()
        self._metrics.close()
        if self._archiver:
            self._archiver.close()
        self._log.close()
        self._keys.close()


def _report_damage(finding: operations.Finding) -> None:
    """Once for each: it is shown in metrics and by /readyz for as long as it is there."""
    _log.critical("log.damaged", **msgspec.structs.asdict(finding))
