"""The web role's plain numbers as Prometheus metrics."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from interfaces.gateway.hub import LiveHub


class HttpStats:
    """What the HTTP side has done since the process began."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        """(method, status)."""
        self.seconds = 0.0


class _Web(Collector):
    def __init__(self, http: HttpStats, hub: LiveHub) -> None:
        self._http = http
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "kefu_http_requests", "Requests.", labels=["method", "status"]
        )
        for labels, count in list(self._http.requests.items()):
            requests.add_metric(labels, count)
        yield requests
        yield CounterMetricFamily("kefu_http_seconds", "Time in requests.", self._http.seconds)
        stats = self._hub.stats
        yield GaugeMetricFamily("kefu_connections", "Open WebSockets.", stats.connections)
        yield CounterMetricFamily("kefu_connections_opened", "WebSockets.", stats.opened)
        yield CounterMetricFamily("kefu_ws_frames_in", "Frames from clients.", stats.frames_in)
        yield CounterMetricFamily("kefu_ws_frames_out", "Frames to clients.", stats.frames_out)
        errors = CounterMetricFamily("kefu_ws_errors", "Error frames.", labels=["code"])
        for code, count in list(stats.errors.items()):
            errors.add_metric([code], count)
        yield errors
        lag = GaugeMetricFamily(
            "kefu_cursor_lag_events", "Durable events not yet seen.", labels=["cursor"]
        )
        lag.add_metric(["live"], self._hub.lag())
        yield lag


def render(http: HttpStats, hub: LiveHub) -> bytes:
    """The metrics in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Web(http, hub))
    return generate_latest(registry)
