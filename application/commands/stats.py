"""Numbers about the command path: plain ints and floats that a metrics collector reads.

A counter object of a metrics library costs more than a decision; see knowledge of issue A.
"""

from bisect import bisect_left
from collections import Counter
from typing import Final

LATENCY_BOUNDS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip


class Histogram:
    """Counts by upper bound, in the shape of a Prometheus histogram (not cumulative here)."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, or the same value several times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


class CommandStats:
    """What the command bus has done since the process began."""

    def __init__(self) -> None:
        self.commands: Counter[tuple[str, str]] = Counter()
        """(command, outcome): `ok`, or the code of the error."""
        self.seconds = Histogram(LATENCY_BOUNDS_S)
        """From submission to the receipt on disk."""
        self.groups = 0
        self.grouped_commands = 0
        self.queue_depth = 0
        self.queue_limit = 0
        self.cached_states = 0
