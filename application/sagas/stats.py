"""Plain numbers of the effect worker, which a metrics collector reads."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from application.sagas.breaker import Breaker
from application.sagas.open_sagas import OpenSagas

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Latency:
    """A histogram."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class SagaStats:
    """Of one worker."""

    def __init__(self, open_sagas: OpenSagas, breakers: Mapping[str, Breaker]) -> None:
        self.open_sagas = open_sagas
        self.breakers = breakers
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        """(participant, operation, kind of outcome) -> calls and questions."""
        self.latency: defaultdict[str, Latency] = defaultdict(Latency)
        """Participant -> time of its answers."""
        self.timers_fired = 0
        self.refused = 0
        """Reports that the core refused for a reason that will not pass by itself."""
