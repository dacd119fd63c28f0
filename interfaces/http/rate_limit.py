"""Token buckets in memory, one a key, bounded in number."""

import math
from collections import OrderedDict
from typing import Final

from application.ports.system import Clock
from interfaces.http.problems import TooManyRequests

_MAX_KEYS: Final = 100_000


class RateLimit:
    """At most `per_minute` a key over time, with a burst of as many."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._rate = per_minute / 60e6
        self._burst = max(1.0, per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one.

        Raises:
            TooManyRequests: the bucket is empty; the error says when it is not.
        """
        now_us = self._clock.now_us()
        tokens, then_us = self._buckets.pop(key, (self._burst, now_us))
        tokens = min(self._burst, tokens + max(0, now_us - then_us) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now_us)
        while len(self._buckets) > _MAX_KEYS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooManyRequests(max(1, math.ceil((1 - tokens) / self._rate / 1e6)))
