"""The web role's plain numbers as Prometheus metrics."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from interfaces.gateway.hub import LiveHub
from interfaces.gateway.metrics import hub_families
from interfaces.http.callbacks import CallbackStats


class HttpStats:
    """What the HTTP side has done since the process began."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        """(method, status)."""
        self.seconds = 0.0


class _Web(Collector):
    def __init__(self, http: HttpStats, callbacks: CallbackStats, hub: LiveHub) -> None:
        self._http = http
        self._callbacks = callbacks
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "kefu_http_requests", "Requests.", labels=["method", "status"]
        )
        for labels, count in list(self._http.requests.items()):
            requests.add_metric(labels, count)
        yield requests
        yield CounterMetricFamily("kefu_http_seconds", "Time in requests.", self._http.seconds)
        callbacks = CounterMetricFamily(
            "kefu_provider_callbacks", "Reports of providers.", labels=["provider", "result"]
        )
        for labels, count in list(self._callbacks.taken.items()):
            callbacks.add_metric(labels, count)
        yield callbacks
        yield from hub_families(self._hub, "web")


def render(http: HttpStats, callbacks: CallbackStats, hub: LiveHub) -> bytes:
    """The metrics in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Web(http, callbacks, hub))
    return generate_latest(registry)
