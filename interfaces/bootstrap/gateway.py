"""A gateway's parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric

from application.ports.system import Clock
from application.ports.views import Views
from infrastructure.eventlog.reader import LogReader
from infrastructure.ipc.client import CoreClient
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from interfaces.authentication import Authenticator
from interfaces.bootstrap.clients import clock, core_client
from interfaces.bootstrap.live_bus import live_bus
from interfaces.bootstrap.views import views
from interfaces.gateway.addresses import AllowedOrigins
from interfaces.gateway.hub import LiveHub
from interfaces.gateway.metrics import gateway_families, hub_families
from interfaces.gateway.server import Gateway
from interfaces.settings import Settings
from interfaces.workers.gateway import GatewayParts


@dataclass(frozen=True)
class _Services:
    hub: LiveHub
    core: CoreClient
    views: Views
    clock: Clock
    authenticator: Authenticator
    origins: AllowedOrigins


def gateway_parts(settings: Settings) -> GatewayParts:
    """Everything that connections need; opened and closed by the role."""
    core, postgres = core_client(settings), views(settings)
    authenticator = Authenticator(core, clock())
    hub = LiveHub(LogReader(settings.log_dir), postgres, authenticator, live_bus(settings))
    origins = AllowedOrigins(settings.allowed_origins)
    services = _Services(hub, core, postgres, clock(), authenticator, origins)

    def publish(gateway: Gateway, process: str) -> Callable[[], None]:
        def families() -> Iterator[Metric]:
            yield from hub_families(hub, process)
            yield from gateway_families(gateway, process)

        directory = make_private(settings.socket_dir)
        server = MetricsServer(directory, process, collectors.renderer(families))
        server.start()
        return server.close

    return GatewayParts(services, (core, postgres), publish)
