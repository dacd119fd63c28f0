"""The composition root: the only module that names infrastructure."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from application.commands.bus import CommandBus
from application.ports.core import Core
from application.ports.event_store import EventFeed, RecordedEvent
from application.ports.system import Clock, Ids, PasswordHasher
from application.projections.runner import ProjectionRunner
from infrastructure.argon2 import Argon2Hasher
from infrastructure.eventlog import operations
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.ipc.client import CoreClient
from infrastructure.ipc.server import CoreServer
from infrastructure.postgres import rebuild as views_rebuild
from infrastructure.postgres.embedded import EmbeddedPostgres
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.views import PostgresViews
from infrastructure.system import SystemClock, SystemIds
from infrastructure.telemetry import collectors, logs
from infrastructure.telemetry.metrics_socket import MetricsServer, gather
from interfaces.gateway.hub import LiveHub
from interfaces.http.authentication import Authenticator
from interfaces.http.dependencies import WebDependencies
from interfaces.settings import Settings

configure_logs = logs.configure


def embedded_postgres(settings: Settings) -> EmbeddedPostgres | None:
    """The embedded Postgres, unless the operator has a server."""
    if settings.database_url is not None:
        return None
    return EmbeddedPostgres(settings.data_dir / "postgres")


def database_url(settings: Settings) -> str:
    """Where the views are."""
    return settings.database_url or EmbeddedPostgres(settings.data_dir / "postgres").url


class CoreRole:
    """The core's parts, opened in order."""

    def __init__(self, settings: Settings) -> None:
        self.ids: Ids = SystemIds()
        self.passwords: PasswordHasher = Argon2Hasher()
        self._settings = settings
        self._log = EventLog.open(
            settings.log_dir,
            max_segment_bytes=settings.segment_mb * 1024 * 1024,
            max_segment_age_s=settings.segment_age_s,
        )

    async def start(self) -> None:
        """Start the command bus."""
        limit = self._settings.queue_limit
        self._bus = CommandBus(self._log, SystemClock(), queue_limit=limit)
        self.core: Core = self._bus
        self._bus.start()

    async def listen(self) -> None:
        """Take commands over the socket, and answer scrapes."""
        settings = self._settings
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._server = CoreServer(self._bus)
        await self._server.start(settings.core_socket)
        render = collectors.renderer(lambda: collectors.core_families(self._bus.stats, self._log))
        self._metrics = MetricsServer(settings.run_dir, "core", render)
        self._metrics.start()

    async def close(self) -> None:
        """Finish what was taken, close the log."""
        await self._bus.close()
        await self._server.close()
        self._metrics.close()
        self._log.close()


def projector(settings: Settings) -> ProjectionRunner:
    """The runner over the log's files and the views' database."""
    store = PostgresProjectionStore(database_url(settings))
    runner = ProjectionRunner(LogReader(settings.log_dir), store)
    render = collectors.renderer(lambda: collectors.projector_families(runner.stats))
    MetricsServer(settings.run_dir, "projector", render).start()
    return runner


def core_client(settings: Settings) -> CoreClient:
    """The core, over its socket."""
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
        widget_secret=widget_secret(settings),
        gather_metrics=lambda: gather(settings.run_dir),
        resources=(core, postgres),
    )


def widget_secret(settings: Settings) -> bytes:
    """The key with which the company's server signs identifiers; made at the first start."""
    path = settings.data_dir / "keys" / "widget.secret"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes().strip()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_urlsafe(32).encode())
    return path.read_bytes().strip()


# What operators do through the command line.


def log_info(settings: Settings) -> operations.LogInfo:
    """Segments, sizes, position."""
    return operations.info(settings.log_dir)


def log_verify(settings: Settings, progress: operations.Progress) -> operations.VerifyReport:
    """Check every byte of the log."""
    return operations.verify(settings.log_dir, progress)


def log_salvage(
    settings: Settings, target: Path, progress: operations.Progress
) -> operations.SalvageReport:
    """Copy what is intact into a new log."""
    return operations.salvage(settings.log_dir, target, progress)


def log_events(settings: Settings, after: int) -> Iterator[RecordedEvent]:
    """Durable events after a position, to the end as it is now."""
    reader = LogReader(settings.log_dir)
    try:
        while events := reader.read(after, 1_000):
            yield from events
            after = events[-1].position
    finally:
        reader.close()


def views_status(settings: Settings) -> views_rebuild.ViewsStatus:
    """Where the views are."""
    return views_rebuild.status(database_url(settings), LogReader(settings.log_dir))


def views_rebuilt(
    settings: Settings, progress: views_rebuild.Progress
) -> views_rebuild.ViewsStatus:
    """Build the views anew, beside the running ones."""
    return views_rebuild.rebuild(database_url(settings), LogReader(settings.log_dir), progress)
