"""A gateway's parts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog
from prometheus_client.core import Metric

from application.ports.event_store import EventFeed
from application.ports.system import Clock
from application.sealing import IN_CLEAR, Opener
from infrastructure.eventlog.reader import LogReader
from infrastructure.ipc.client import CoreClient
from infrastructure.postgres.views import PostgresViews
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from interfaces.authentication import Authenticator
from interfaces.bootstrap.clients import clock, core_client
from interfaces.bootstrap.keys import opener
from interfaces.bootstrap.live_bus import live_bus
from interfaces.bootstrap.views import views
from interfaces.gateway.addresses import AllowedOrigins
from interfaces.gateway.hub import LiveHub
from interfaces.gateway.metrics import gateway_families, hub_families
from interfaces.gateway.server import Gateway
from interfaces.settings import Settings
from interfaces.workers.gateway import GatewayParts, Link
from interfaces.workers.gateway_number import remote_process_name

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Services:
    hub: LiveHub
    core: CoreClient
    views: PostgresViews
    clock: Clock
    authenticator: Authenticator
    origins: AllowedOrigins


def gateway_parts(settings: Settings) -> GatewayParts:
    """Everything that connections need; opened and closed by the role."""
    if settings.link_url is not None:
        return _remote_parts(settings)
    hub_feed, core = LogReader(settings.log_dir), core_client(settings)
    services = _services(settings, hub_feed, core, opener(settings))

    def publish(gateway: Gateway, process: str) -> Callable[[], None]:
        return _publish(settings, process, _renderer(services.hub, gateway, process))

    return GatewayParts(services, (core, services.views), publish)


def _remote_parts(settings: Settings) -> GatewayParts:
    """On another machine than the log, over the link (ADR 0016)."""
    # Only there: it loads what most gateways do not use.
    from interfaces.bootstrap.link import OpenedFeed, feed_families, link_dialer, link_feed

    if settings.cluster_url is None:
        detail = "without KEFU_CLUSTER_URL typing and presence stay on this machine"
        _log.warning("link.no_cluster", detail=detail)
    dialer, name = link_dialer(settings), remote_process_name()
    feed, core = link_feed(dialer, name), CoreClient(dialer.to("core"))
    # Events come unsealed from the machine that has the keys.
    services = _services(settings, feed, core, IN_CLEAR)

    def publish(gateway: Gateway, process: str) -> Callable[[], None]:
        def more() -> Iterable[Metric]:
            return feed_families(feed, services.hub.position, name)

        # The link's machine shows it at a scrape, and whoever looks at this machine's socket.
        feed.render = _renderer(services.hub, gateway, name, more)
        return _publish(settings, process, feed.render)

    def on_other_log(tell: Callable[[], None]) -> None:
        feed.on_other_log = tell

    resources = (OpenedFeed(feed), core, services.views)
    return GatewayParts(services, resources, publish, Link(dialer.to("web"), on_other_log))


def _services(settings: Settings, feed: EventFeed, core: CoreClient, opened: Opener) -> _Services:
    postgres = views(settings)
    authenticator = Authenticator(core, clock())
    hub = LiveHub(feed, postgres, authenticator, live_bus(settings), opened)
    origins = AllowedOrigins(settings.allowed_origins)
    return _Services(hub, core, postgres, clock(), authenticator, origins)


def _renderer(
    hub: LiveHub, gateway: Gateway, process: str, more: Callable[[], Iterable[Metric]] = tuple
) -> Callable[[], bytes]:
    def families() -> Iterator[Metric]:
        yield from hub_families(hub, process)
        yield from gateway_families(gateway, process)
        yield from more()

    return collectors.renderer(families)


def _publish(settings: Settings, process: str, render: Callable[[], bytes]) -> Callable[[], None]:
    server = MetricsServer(make_private(settings.socket_dir), process, render)
    server.start()
    return server.close
