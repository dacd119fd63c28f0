"""The transparency log's plain numbers as Prometheus metrics."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from infrastructure.transparency.builder import AuditStats
from infrastructure.transparency.push import Pusher


def audit_families(stats: AuditStats) -> Iterable[Metric]:
    """The builder."""
    yield GaugeMetricFamily("kefu_audit_size", "Events in the tree.", stats.size)
    yield GaugeMetricFamily(
        "kefu_audit_signed_size", "Events that the last checkpoint covers.", stats.signed_size
    )
    yield GaugeMetricFamily(
        "kefu_audit_lag_events", "Durable events not yet in the tree.", stats.lag_events
    )
    yield CounterMetricFamily("kefu_audit_leaves", "Leaves added.", stats.leaves)
    yield CounterMetricFamily("kefu_audit_seconds", "Time spent.", stats.seconds)
    yield CounterMetricFamily("kefu_audit_checkpoints", "Checkpoints signed.", stats.checkpoints)
    yield GaugeMetricFamily(
        "kefu_audit_last_checkpoint_timestamp_seconds",
        "When the last one was signed; 0: not by this process.",
        stats.signed_us / 1e6,
    )
    yield GaugeMetricFamily(
        "kefu_audit_refused", "1: nothing is signed, something contradicts.", stats.refused
    )


def push_families(targets: Sequence[Pusher]) -> Iterable[Metric]:
    """Checkpoints handed to others; a target is a path, or `url`."""
    pushed = CounterMetricFamily("kefu_audit_pushed", "Delivered.", labels=["target"])
    failures = CounterMetricFamily("kefu_audit_push_failures", "Tries.", labels=["target"])
    last = GaugeMetricFamily(
        "kefu_audit_last_push_timestamp_seconds",
        "When one was delivered last; 0: none was.",
        labels=["target"],
    )
    for target in targets:
        pushed.add_metric([target.name], target.stats.pushed)
        failures.add_metric([target.name], target.stats.failures)
        last.add_metric([target.name], target.stats.last_us / 1e6)
    yield pushed
    yield failures
    yield last
