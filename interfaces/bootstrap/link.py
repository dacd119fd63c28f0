"""Both ends of the link between the machine of the log and another."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from application.ports.event_store import EventFeed
from application.unsealed_feed import UnsealedFeed
from infrastructure.eventlog.reader import LogReader
from infrastructure.link.dialer import LinkDialer
from infrastructure.link.feed import LinkFeed
from infrastructure.link.server import LinkServer
from infrastructure.link.tls import LinkTls
from infrastructure.system.private_files import make_private
from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer
from interfaces.bootstrap.keys import opener
from interfaces.link_settings import LinkAddress, link_address
from interfaces.settings import Settings


def link_server(settings: Settings) -> tuple[LinkAddress, LinkServer]:
    """What the role `link` runs, and where it listens.

    Raises:
        LinkFilesInvalid: certificates, key or authority can't be used.
    """
    assert settings.link_listen is not None
    paths = {"core": settings.core_socket, "web": settings.web_socket_path}
    opened = opener(settings)

    def feed() -> EventFeed:
        return UnsealedFeed(LogReader(settings.log_dir), opened)

    server = LinkServer(_tls(settings, server=True), feed, paths)
    own = collectors.renderer(lambda: _server_families(server))

    def render() -> bytes:
        return own() + b"".join(remote.metrics for remote in server.remotes.values())

    MetricsServer(make_private(settings.socket_dir), "link", render).start()
    return link_address("KEFU_LINK_LISTEN", settings.link_listen), server


def link_dialer(settings: Settings) -> LinkDialer:
    """A remote's way to the link.

    Raises:
        LinkFilesInvalid: certificates, key or authority can't be used.
    """
    assert settings.link_url is not None
    host, port = link_address("KEFU_LINK_URL", settings.link_url)
    return LinkDialer(host, port, _tls(settings, server=False))


def link_feed(dialer: LinkDialer, name: str) -> LinkFeed:
    """The log's events over the link; open it before the hub."""
    return LinkFeed(dialer, name)


class OpenedFeed:
    """A feed as one of the gateway's resources; the hub closes it, if it came so far."""

    def __init__(self, feed: LinkFeed) -> None:
        self._feed = feed

    async def open(self) -> None:
        """Returns when the log's end is known."""
        await self._feed.open()

    async def close(self) -> None:
        self._feed.close()


def feed_families(feed: LinkFeed, position: int, process: str) -> Iterable[Metric]:
    """A remote's side of the link.

    Args:
        feed: Of this process.
        position: Up to which its hub has told everybody.
        process: As other metrics name it.
    """
    behind = max(0, feed.log_end - position)
    for name, text, value in (
        ("kefu_link_connected", "1: the feed from the log's machine is there.", feed.connected),
        ("kefu_link_behind_events", "Durable events that it has not told yet.", behind),
    ):
        gauge = GaugeMetricFamily(name, text, labels=["process"])
        gauge.add_metric([process], int(value))
        yield gauge
    again = CounterMetricFamily("kefu_link_reconnects", "Feeds made anew.", labels=["process"])
    again.add_metric([process], feed.reconnects)
    yield again


def _server_families(server: LinkServer) -> Iterator[Metric]:
    stats = server.stats
    yield GaugeMetricFamily("kefu_link_open", "Connections of remotes.", stats.open)
    yield GaugeMetricFamily("kefu_link_remotes", "Remote gateways.", len(server.remotes))
    yield CounterMetricFamily("kefu_link_served", "Connections of remotes.", stats.served)
    yield CounterMetricFamily(
        "kefu_link_refused", "Connections without our certificate, or too many.", stats.refused
    )


def _tls(settings: Settings, *, server: bool) -> LinkTls:
    certificate, key, authority = settings.link_certificate, settings.link_key, settings.link_ca
    assert certificate is not None
    assert key is not None
    assert authority is not None
    return LinkTls(Path(certificate), Path(key), Path(authority), server=server)
