"""Token buckets in memory, one a key, bounded in number.

A bucket is kept as the one moment at which it will be full again, which says the same as a level
and its time (the generic cell rate algorithm, ITU-T I.371 annex A): one number a key, and a key
whose moment has passed need not be kept.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_MAX_KEYS: Final = 100_000


class TokenBuckets:
    """At most `per_s` a second and key over time, and at once as many as `burst`.

    Args:
        per_s: More than 0.
        burst: 1 or more.
        max_keys: Kept at most; beyond it the least recently used is forgotten, that is, full.
    """

    __slots__ = ("_cost_us", "_depth_us", "_full_at", "_max_keys")

    def __init__(self, per_s: float, burst: float, max_keys: int = _MAX_KEYS) -> None:
        self._cost_us = 1e6 / per_s
        self._depth_us = max(1.0, burst) * self._cost_us
        self._max_keys = max_keys
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable, now_us: float, count: int = 1) -> float:
        """Take `count` tokens, or none of them; more than the burst count as the burst.

        Args:
            now_us: Of any clock, in microseconds. It may jump: back is a standstill.

        Returns:
            0.0 when they were taken, else the seconds until there are so many.
        """
        full_at = self._full_at
        depth = self._depth_us
        # Never further ahead than an empty bucket is: the clock has gone back.
        level = full_at.get(key, 0.0)
        if level > now_us + depth:
            level = full_at[key] = now_us + depth
        level = max(level, now_us) + min(count * self._cost_us, depth)
        late = level - now_us - depth
        # To the microsecond: sums of floats are not exact.
        if late > 1.0:
            return late / 1e6
        full_at[key] = level
        full_at.move_to_end(key)
        self._forget(now_us)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now_us: float) -> None:
        """Two of the least recently used, if they are full, so that idle keys cost nothing."""
        full_at = self._full_at
        for _ in range(2):
            oldest = next(iter(full_at))
            if full_at[oldest] > now_us and len(full_at) <= self._max_keys:
                return
            del full_at[oldest]
