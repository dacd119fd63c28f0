"""Circuit breaker: a participant that fails again and again is left alone for a while.

While it is open nothing is sent, so nothing counts as an attempt; deadlines go on. After a pause
one call is let through: if it goes well the circuit is closed, else it stays open for longer.

Source: Nygard, Release It!, "Circuit Breaker".
"""

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from application.sagas.outcome import OutcomeKind

_FAILURES: Final = frozenset({OutcomeKind.NOT_EXECUTED, OutcomeKind.UNKNOWN})


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One participant's. Use it in one event loop."""

    def __init__(
        self,
        threshold: int = 20,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens after `threshold` failures with no success between them."""
        self._threshold = threshold
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._now = monotonic
        self._pause_s = first_pause_s
        self._failures = 0
        self._until = 0.0
        self._probing = False
        self.opened = 0
        """How often it has opened."""

    @property
    def state(self) -> BreakerState:
        """As metrics show it."""
        if self._failures < self._threshold:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._probing else BreakerState.OPEN

    async def admitted(self) -> None:
        """Return when a call may be made; `record` its outcome."""
        while self._failures >= self._threshold:
            left = self._until - self._now()
            if left <= 0 and not self._probing:
                self._probing = True
                return
            await asyncio.sleep(min(max(left, 0.05), 0.5))

    def release(self) -> None:
        """The call that was admitted is not made after all."""
        self._probing = False

    def record(self, kind: OutcomeKind) -> None:
        """What a call came to."""
        self._probing = False
        if kind not in _FAILURES:
            self._failures, self._pause_s = 0, self._first_pause_s
            return
        self._failures += 1
        if self._failures < self._threshold or self._now() < self._until:
            return
        if self._failures > self._threshold:
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)
        self.opened += 1
        self._until = self._now() + self._pause_s
