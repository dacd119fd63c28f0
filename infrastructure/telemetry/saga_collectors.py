"""The effect worker's plain numbers as Prometheus metrics.

Alerts belong on `kefu_sagas{status="parked"}` (somebody must decide), `kefu_sagas_overdue`,
`kefu_saga_oldest_seconds` and `kefu_saga_breaker_open`.
"""

import time
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from application.sagas.breaker import BreakerState
from application.sagas.stats import BOUNDS_S, SagaStats
from domain.saga.state import TERMINAL, Status


def saga_families(stats: SagaStats) -> Iterable[Metric]:
    """Sagas that are not over, and the calls that were made for them."""
    now_us = time.time_ns() // 1000
    found = list(stats.open_sagas.all.values())
    statuses = Counter((one.state.definition or "", one.state.status) for one in found)
    sagas = GaugeMetricFamily(
        "kefu_sagas", "Sagas that are not over.", labels=["definition", "status"]
    )
    for name in sorted({name for name, _ in statuses} | {"refund"}):
        for status in Status:
            if status not in TERMINAL:
                sagas.add_metric([name, status.value], statuses[name, status])
    yield sagas
    yield GaugeMetricFamily(
        "kefu_sagas_overdue",
        "Sagas with a step that must be done and is not, past its deadline.",
        sum(one.state.overdue for one in found),
    )
    oldest = GaugeMetricFamily(
        "kefu_saga_oldest_seconds", "Age of the oldest one that is not over.", labels=["status"]
    )
    for status in Status:
        if status not in TERMINAL:
            started = [one.started_us for one in found if one.state.status is status]
            age_us = max(0, now_us - min(started)) if started else 0
            oldest.add_metric([status.value], age_us / 1e6)
    yield oldest
    yield from _calls(stats)
    yield CounterMetricFamily("kefu_saga_timers_fired", "Timers.", stats.timers_fired)
    yield CounterMetricFamily(
        "kefu_saga_reports_refused", "Outcomes that the core refused.", stats.refused
    )
    yield GaugeMetricFamily(
        "kefu_saga_position", "Position up to which the log is read.", stats.open_sagas.position
    )


def _calls(stats: SagaStats) -> Iterable[Metric]:
    calls = CounterMetricFamily(
        "kefu_saga_calls",
        "Calls and questions to participants.",
        labels=["participant", "operation", "outcome"],
    )
    for labels, count in stats.outcomes.items():
        calls.add_metric(labels, count)
    yield calls
    seconds = HistogramMetricFamily(
        "kefu_saga_call_seconds", "Time of participants' answers.", labels=["participant"]
    )
    bounds = (*map(str, BOUNDS_S), "+Inf")
    for name, latency in stats.latency.items():
        buckets = list(zip(bounds, accumulate(latency.counts), strict=True))
        seconds.add_metric([name], buckets, latency.sum_s)
    yield seconds
    is_open = GaugeMetricFamily(
        "kefu_saga_breaker_open", "1: the participant is left alone.", labels=["participant"]
    )
    opened = CounterMetricFamily(
        "kefu_saga_breaker_opened", "Times it was opened.", labels=["participant"]
    )
    for name, breaker in stats.breakers.items():
        is_open.add_metric([name], breaker.state is not BreakerState.CLOSED)
        opened.add_metric([name], breaker.opened)
    yield is_open
    yield opened
