"""The projector's parts."""

from application.projections.runner import ProjectionRunner
from infrastructure.eventlog.reader import LogReader
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from interfaces.bootstrap.keys import opener
from interfaces.bootstrap.postgres import database_url
from interfaces.settings import Settings


def projector(settings: Settings) -> ProjectionRunner:
    """The runner over the log's files and the views' database."""
    store = PostgresProjectionStore(database_url(settings))
    runner = ProjectionRunner(LogReader(settings.log_dir), store, opener=opener(settings))
    render = collectors.renderer(lambda: collectors.projector_families(runner.stats))
    MetricsServer(make_private(settings.socket_dir), "projector", render).start()
    return runner
