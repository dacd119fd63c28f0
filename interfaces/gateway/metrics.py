"""A hub's and a gateway's plain numbers as Prometheus metrics."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from interfaces.gateway.hub import LiveHub
from interfaces.gateway.limits import Refusal
from interfaces.gateway.server import Gateway


def hub_families(hub: LiveHub, process: str) -> Iterable[Metric]:
    """Connections, the live cursor, and what passes between processes.

    Args:
        hub: Of this process.
        process: `web`, or `gateway-1` and so on.
    """
    stats, bus = hub.stats, hub.bus.stats
    labels = ["process"]
    for name, text, value in (
        ("kefu_connections", "Open WebSockets.", stats.connections),
        ("kefu_live_bus_peers", "Servers or processes known.", bus.peers),
        ("kefu_live_bus_connected", "Of those, connected.", bus.connected),
    ):
        gauge = GaugeMetricFamily(name, text, labels=labels)
        gauge.add_metric([process], value)
        yield gauge
    for name, text, value in (
        ("kefu_connections_opened", "WebSockets.", stats.opened),
        ("kefu_ws_frames_in", "Frames from clients.", stats.frames_in),
        ("kefu_ws_frames_out", "Frames to clients.", stats.frames_out),
        ("kefu_live_bus_published", "Payloads sent.", bus.published),
        ("kefu_live_bus_received", "Payloads received.", bus.received),
        ("kefu_live_bus_dropped", "Payloads not sent.", bus.dropped),
    ):
        counter = CounterMetricFamily(name, text, labels=labels)
        counter.add_metric([process], value)
        yield counter
    errors = CounterMetricFamily("kefu_ws_errors", "Error frames.", labels=["process", "code"])
    for code, count in list(stats.errors.items()):
        errors.add_metric([process, code], count)
    yield errors
    lag = GaugeMetricFamily(
        "kefu_cursor_lag_events", "Durable events not yet seen.", labels=["cursor"]
    )
    lag.add_metric(["live" if process == "web" else f"live-{process}"], hub.lag())
    yield lag


def gateway_families(gateway: Gateway, process: str) -> Iterable[Metric]:
    """The epoll loop and what is relayed."""
    loop, relay = gateway.loop.stats, gateway.relay
    for name, text, value in (
        ("kefu_gateway_accepted", "Connections taken.", loop.accepted),
        ("kefu_gateway_rounds", "Rounds of the epoll loop.", loop.rounds),
        ("kefu_gateway_naps", "Rounds that waited a moment for more.", loop.naps),
        ("kefu_gateway_bytes_in", "Bytes of WebSockets read.", loop.bytes_in),
        ("kefu_gateway_bytes_out", "Bytes of WebSockets written.", gateway.loop.bytes_out),
        ("kefu_gateway_relayed", "Connections passed to the web role.", relay.relayed),
        ("kefu_gateway_relay_failed", "Connections the web role did not take.", relay.failed),
        ("kefu_gateway_pings", "Keepalive pings.", gateway.keepalive.stats.pings),
        ("kefu_gateway_pongs", "Pings that were answered.", gateway.keepalive.stats.pongs),
        (
            "kefu_gateway_silent_deaths",
            "Peers gone silently.",
            gateway.keepalive.stats.silent_deaths,
        ),
        ("kefu_gateway_bad_proxy_headers", "Proxies' without header.", gateway.bad_proxy_headers),
    ):
        counter = CounterMetricFamily(name, text, labels=["process"])
        counter.add_metric([process], value)
        yield counter
    refused = CounterMetricFamily(
        "kefu_gateway_refused", "Refusals by reason.", labels=["process", "reason"]
    )
    for why in Refusal:
        refused.add_metric([process, why.label], gateway.limits.refused[why])
    yield refused
    for name, text, value in (
        ("kefu_gateway_clients", "Connections in the epoll loop.", len(gateway.loop.clients)),
        ("kefu_gateway_relays", "Connections being relayed.", relay.open),
    ):
        gauge = GaugeMetricFamily(name, text, labels=["process"])
        gauge.add_metric([process], value)
        yield gauge
