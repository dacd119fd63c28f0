"""Rate limits of HTTP calls."""

import math

from application.ports.system import Clock
from interfaces.http.problems import TooManyRequests
from interfaces.token_buckets import TokenBuckets


class RateLimit:
    """At most `per_minute` a key over time, with a burst of as many."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._buckets = TokenBuckets(per_minute / 60, per_minute)
        self._clock = clock

    def take(self, key: str) -> None:
        """Count one.

        Raises:
            TooManyRequests: the bucket is empty; the error says when it is not.
        """
        wait_s = self._buckets.take(key, self._clock.now_us())
        if wait_s:
            raise TooManyRequests(max(1, math.ceil(wait_s)))
