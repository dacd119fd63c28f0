"""The roles' plain numbers as Prometheus metrics, made at scrape time."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from application.commands.stats import CommandStats
from application.projections.runner import ProjectionStats
from infrastructure.eventlog.archive.stats import ArchiveStats
from infrastructure.eventlog.scrubber import ScrubState
from infrastructure.eventlog.stats import FSYNC_BOUNDS_S, GROUP_BOUNDS
from infrastructure.eventlog.store import EventLog


class _Families(Collector):
    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


def renderer(families: Callable[[], Iterable[Metric]]) -> Callable[[], bytes]:
    """A function that writes the families in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return lambda: generate_latest(registry)


def histogram(
    name: str, text: str, bounds: Iterable[float], counts: list[int], total: float
) -> Metric:
    """A histogram from counts by bucket (the last one has no bound)."""
    buckets: list[tuple[str, float]] = []
    running = 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        running += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), running))
    family = HistogramMetricFamily(name, text)
    family.add_metric([], buckets, total)
    return family


def core_families(commands: CommandStats, log: EventLog) -> Iterable[Metric]:
    """Commands and log."""
    counter = CounterMetricFamily(
        "kefu_commands", "Commands by outcome.", labels=["command", "outcome"]
    )
    for labels, count in list(commands.commands.items()):
        counter.add_metric(labels, count)
    yield counter
    seconds = commands.seconds
    yield histogram(
        "kefu_command_seconds",
        "From submission to the receipt on disk.",
        seconds.bounds,
        seconds.counts,
        seconds.sum,
    )
    yield GaugeMetricFamily("kefu_queue_depth", "Waiting commands.", commands.queue_depth)
    yield GaugeMetricFamily("kefu_queue_limit", "Then `busy`.", commands.queue_limit)
    yield GaugeMetricFamily("kefu_cached_states", "Aggregates in memory.", commands.cached_states)
    stats = log.stats
    yield CounterMetricFamily("kefu_log_events", "Events appended.", stats.events)
    yield CounterMetricFamily("kefu_log_bytes", "Bytes appended.", stats.bytes)
    yield CounterMetricFamily("kefu_log_segments_rolled", "Full segments.", stats.segments_rolled)
    yield GaugeMetricFamily(
        "kefu_log_maps_missing", "Sealed segments whose map is still to be made.", log.maps_missing
    )
    yield GaugeMetricFamily("kefu_log_position", "Durable position.", log.durable_position)
    yield GaugeMetricFamily(
        "kefu_log_read_only", "1 after a failed write.", int(log.failure is not None)
    )
    yield histogram(
        "kefu_fsync_seconds",
        "Write and fdatasync of one group commit.",
        FSYNC_BOUNDS_S,
        stats.fsync_counts,
        stats.fsync_seconds,
    )
    yield histogram(
        "kefu_batch_events",
        "Events that shared one group commit.",
        GROUP_BOUNDS,
        stats.group_counts,
        stats.events,
    )


def index_families(log: EventLog) -> Iterable[Metric]:
    """The index of streams."""
    progress = log.index_progress
    missing = progress.total - progress.done if progress else 0
    yield GaugeMetricFamily(
        "kefu_index_rebuilding", "1: no command is taken until it is whole.", int(bool(progress))
    )
    yield GaugeMetricFamily(
        "kefu_index_missing_events", "Events that it is still being built from.", missing
    )
    yield GaugeMetricFamily(
        "kefu_index_failing", "1: it could not be written.", int(log.index_failure is not None)
    )


def scrub_families(state: ScrubState) -> Iterable[Metric]:
    """The scrubber: what it has read over all its life, and what is wrong now."""
    yield CounterMetricFamily("kefu_scrub_bytes", "Bytes of frames checked.", state.bytes)
    yield CounterMetricFamily("kefu_scrub_segments", "Segments checked.", state.segments)
    yield CounterMetricFamily("kefu_scrub_passes", "Full passes.", state.passes)
    yield GaugeMetricFamily(
        "kefu_scrub_last_full_pass_timestamp_seconds",
        "End of the last full pass; 0: none yet.",
        state.last_full_pass_us / 1e6,
    )
    yield GaugeMetricFamily("kefu_scrub_findings", "Damage that is there.", len(state.findings))


def archive_families(stats: ArchiveStats) -> Iterable[Metric]:
    """Archiving and retention."""
    yield CounterMetricFamily(
        "kefu_archive_segments", "Segments archived and read back.", stats.segments
    )
    yield CounterMetricFamily("kefu_archive_bytes", "Bytes of their files.", stats.bytes)
    yield CounterMetricFamily(
        "kefu_archive_stored_bytes", "Bytes of their compressed objects.", stats.stored_bytes
    )
    yield CounterMetricFamily(
        "kefu_archive_deleted_segments", "Archived segments deleted here.", stats.deleted
    )
    yield CounterMetricFamily("kefu_archive_failures", "Rounds that failed.", stats.failures)
    yield GaugeMetricFamily(
        "kefu_archive_failing", "1: the last round failed.", int(stats.last_error is not None)
    )
    yield GaugeMetricFamily(
        "kefu_retention_blocked",
        "1: nothing is deleted, because a cursor is not known.",
        int(stats.blocked is not None),
    )
    segments = GaugeMetricFamily("kefu_log_segments", "Segments by place.", labels=["place"])
    segments.add_metric(["local"], stats.local_segments)
    segments.add_metric(["remote"], stats.remote_segments)
    yield segments


def projector_families(stats: ProjectionStats) -> Iterable[Metric]:
    """The views' cursor."""
    lag = GaugeMetricFamily(
        "kefu_cursor_lag_events", "Durable events not yet seen.", labels=["cursor"]
    )
    lag.add_metric(["views"], stats.lag_events)
    yield lag
    position = GaugeMetricFamily("kefu_cursor_position", "Position.", labels=["cursor"])
    position.add_metric(["views"], stats.position)
    yield position
    yield CounterMetricFamily("kefu_projected_events", "Events projected.", stats.events)
    yield CounterMetricFamily("kefu_projection_seconds", "Time spent.", stats.seconds)
    yield CounterMetricFamily("kefu_parked_events", "Events parked.", stats.parked)
    yield CounterMetricFamily("kefu_projection_failures", "Database failures.", stats.failures)


def supervisor_families(
    restarts: Mapping[str, int], running: Mapping[str, bool]
) -> Iterable[Metric]:
    """The roles' processes and the embedded Postgres."""
    again = CounterMetricFamily("kefu_restarts", "Starts after an unwanted end.", labels=["part"])
    for part, count in list(restarts.items()):
        again.add_metric([part], count)
    yield again
    up = GaugeMetricFamily("kefu_running", "1: the process runs.", labels=["part"])
    for part, runs in list(running.items()):
        up.add_metric([part], int(runs))
    yield up
