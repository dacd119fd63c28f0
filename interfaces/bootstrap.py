"""The composition root: the only module that names infrastructure."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import structlog
from prometheus_client.core import Metric

from application.commands.bus import CommandBus
from application.ports.core import Core
from application.ports.event_store import EventFeed
from application.ports.system import Clock, Ids, PasswordHasher
from application.projections.runner import ProjectionRunner
from domain.errors import InvalidInput
from infrastructure.argon2 import Argon2Hasher
from infrastructure.eventlog import backup as backups
from infrastructure.eventlog import operations
from infrastructure.eventlog import restore as restoring
from infrastructure.eventlog.archive.service import LogArchive, archive_state
from infrastructure.eventlog.archive.worker import ArchiveWorker
from infrastructure.eventlog.errors import LogLocked as LogLocked
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.retention import cursor_files
from infrastructure.eventlog.scrubber import Scrubber, ScrubberThread, read_state
from infrastructure.eventlog.store import EventLog
from infrastructure.ipc.client import CoreClient
from infrastructure.ipc.server import CoreServer
from infrastructure.postgres import rebuild as views_rebuild
from infrastructure.postgres.cursors import view_positions
from infrastructure.postgres.embedded import EmbeddedPostgres
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.views import PostgresViews
from infrastructure.system import SystemClock, SystemIds
from infrastructure.system.private_files import make_private, read_or_make_secret, read_secret
from infrastructure.telemetry import collectors, logs
from infrastructure.telemetry.metrics_socket import MetricsServer, gather
from interfaces.gateway.hub import LiveHub
from interfaces.http.authentication import Authenticator
from interfaces.http.dependencies import WebDependencies
from interfaces.settings import Settings
from interfaces.workers.supervisor import SupervisorStats

configure_logs = logs.configure
_log = structlog.get_logger(__name__)


class NotStarted(InvalidInput):
    """`kefu serve` has not yet made what was asked for."""

    code = "not-started"

    def __init__(self, directory: Path) -> None:
        super().__init__(f"There is no kefu in {directory}; give its --data-dir, or start it.")


def embedded_postgres(settings: Settings) -> EmbeddedPostgres | None:
    """The embedded Postgres, unless the operator has a server."""
    if settings.database_url is not None:
        return None
    return EmbeddedPostgres(settings.data_dir / "postgres")


def database_url(settings: Settings) -> str:
    """Where the views are."""
    return settings.database_url or EmbeddedPostgres(settings.data_dir / "postgres").url


@contextmanager
def supervisor_metrics(settings: Settings, stats: SupervisorStats) -> Iterator[None]:
    """Answer scrapes of the supervisor's numbers meanwhile."""
    families = partial(collectors.supervisor_families, stats.restarts, stats.running)
    server = MetricsServer(
        make_private(settings.socket_dir), "supervisor", collectors.renderer(families)
    )
    server.start()
    try:
        yield
    finally:
        server.close()


class CoreRole:
    """The core's parts, opened in order."""

    def __init__(self, settings: Settings) -> None:
        self.ids: Ids = SystemIds()
        self.passwords: PasswordHasher = Argon2Hasher()
        self._settings = settings
        self._scrubber: Scrubber | None = None
        self._scrubbing: ScrubberThread | None = None
        self._archiver: ArchiveWorker | None = None
        archive = log_archive(settings) if settings.archive_url is not None else None
        if archive is not None:
            archive.attach()
        self._log = EventLog.open(
            settings.log_dir,
            max_segment_bytes=settings.segment_mb * 1024 * 1024,
            max_segment_age_s=settings.segment_age_s,
        )
        if (found := self._log.recovered) is not None:
            event = "log.events_missing" if found.missing else "log.torn_tail_cut"
            _log.critical(event, missing_events=found.missing, cut_bytes=found.cut)
        if archive is not None:
            rate = settings.archive_mb_per_s * 1e6
            self._archiver = archive.worker(lambda: self._log.durable_position, rate)

    @property
    def failure(self) -> str | None:
        """Why the log takes no more events; None: it does."""
        return self._log.failure

    async def start(self) -> None:
        """Start the command bus, and the scrubber in the background."""
        settings = self._settings
        if settings.scrub_mb_per_s:
            self._scrubber = Scrubber(settings.log_dir, settings.scrub_mb_per_s, _report_damage)
            self._scrubbing = ScrubberThread(self._scrubber)
        limit = settings.queue_limit
        self._bus = CommandBus(self._log, SystemClock(), queue_limit=limit)
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

    def _families(self) -> Iterator[Metric]:
        yield from collectors.core_families(self._bus.stats, self._log)
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


def _report_damage(finding: operations.Finding) -> None:
    """Once for each: it is shown in metrics and by /readyz for as long as it is there."""
    _log.critical("log.damaged", **msgspec.structs.asdict(finding))


def projector(settings: Settings) -> ProjectionRunner:
    """The runner over the log's files and the views' database."""
    store = PostgresProjectionStore(database_url(settings))
    runner = ProjectionRunner(LogReader(settings.log_dir), store)
    render = collectors.renderer(lambda: collectors.projector_families(runner.stats))
    MetricsServer(make_private(settings.socket_dir), "projector", render).start()
    return runner


def core_client(settings: Settings) -> CoreClient:
    """The core, over its socket."""
    if settings.socket_dir.exists():
        make_private(settings.socket_dir)
    return CoreClient(settings.core_socket)


def views(settings: Settings) -> PostgresViews:
    """The read side."""
    return PostgresViews(database_url(settings))


def clock() -> Clock:
    """The machine's clock."""
    return SystemClock()


def ids() -> Ids:
    """New identifiers and secrets."""
    return SystemIds()


def password_hasher() -> PasswordHasher:
    """Argon2."""
    return Argon2Hasher()


def feed(settings: Settings) -> EventFeed:
    """The log's files."""
    return LogReader(settings.log_dir)


def web_dependencies(settings: Settings) -> WebDependencies:
    """Everything that routes and sessions need; opened and closed by the app's lifespan."""
    core, postgres = core_client(settings), views(settings)
    authenticator = Authenticator(core, SystemClock())
    live = LogReader(settings.log_dir)
    hub = LiveHub(live, postgres, authenticator)
    return WebDependencies(
        settings=settings,
        core=core,
        views=postgres,
        feed=LogReader(settings.log_dir),
        hub=hub,
        authenticator=authenticator,
        clock=SystemClock(),
        ids=SystemIds(),
        passwords=Argon2Hasher(),
        widget_secret=make_widget_secret(settings),
        gather_metrics=lambda: gather(settings.socket_dir),
        scrub_state=lambda: read_state(settings.log_dir),
        resources=(core, postgres),
        archive_state=lambda: archive_state(settings.log_dir),
    )


def make_widget_secret(settings: Settings) -> bytes:
    """The key with which the company's server signs identifiers; made at the first start."""
    return read_or_make_secret(settings.widget_secret_file, SystemIds().secret())


def widget_secret(settings: Settings) -> bytes:
    """The key that `make_widget_secret` made.

    Raises:
        NotStarted: it has made none yet.
    """
    try:
        return read_secret(settings.widget_secret_file)
    except FileNotFoundError:
        raise NotStarted(settings.data_dir) from None


# What operators do through the command line.


def _log_of(settings: Settings) -> Path:
    """The log's directory, which an operator may have mistyped.

    Raises:
        NotStarted: there is no log.
    """
    if not settings.log_dir.is_dir():
        raise NotStarted(settings.data_dir)
    return settings.log_dir


def log_info(settings: Settings) -> operations.LogInfo:
    """Segments, sizes, position."""
    return operations.info(_log_of(settings))


def log_verify(settings: Settings, progress: operations.Progress) -> operations.VerifyReport:
    """Check every byte of the log."""
    return operations.verify(_log_of(settings), progress)


def log_salvage(
    settings: Settings, target: Path, progress: operations.Progress
) -> operations.SalvageReport:
    """Copy what is intact into a new log."""
    return operations.salvage(_log_of(settings), target, progress)


def log_feed(settings: Settings) -> EventFeed:
    """The log's files, which must be there."""
    return LogReader(_log_of(settings))


def log_backup(
    settings: Settings, target: Path, progress: operations.Progress
) -> backups.BackupReport:
    """Copy the log, in use or not, into a new or an earlier backup."""
    return backups.backup(_log_of(settings), target, progress)


def log_restored(
    settings: Settings, backup: Path, progress: operations.Progress
) -> restoring.RestoreReport:
    """Put a backup in the place of the log, which is missing; nothing else may run there.

    Views of a log that is gone are set aside: they may be ahead of what is restored.
    """
    postgres = embedded_postgres(settings)
    log = settings.log_dir
    if postgres is not None and not (log.exists() and any(log.iterdir())):
        postgres.set_aside()
    return restoring.restore(backup, settings.log_dir, progress)


def log_archive(settings: Settings) -> LogArchive:
    """The log's archive.

    Raises:
        InvalidInput: it has none.
    """
    sources = {
        "views": lambda: view_positions(database_url(settings)),
        "cursors": cursor_files(settings.cursor_dir),
    }
    return LogArchive.of(settings.log_dir, settings, sources)


def views_status(settings: Settings) -> views_rebuild.ViewsStatus:
    """Where the views are."""
    return views_rebuild.status(database_url(settings), LogReader(_log_of(settings)))


def views_rebuilt(
    settings: Settings, progress: views_rebuild.Progress
) -> views_rebuild.ViewsStatus:
    """Build the views anew, beside the running ones."""
    return views_rebuild.rebuild(database_url(settings), LogReader(_log_of(settings)), progress)
