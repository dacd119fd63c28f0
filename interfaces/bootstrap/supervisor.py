"""The supervisor's parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from interfaces.settings import Settings
from interfaces.workers.supervisor import SupervisorStats


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
