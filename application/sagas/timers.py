"""The timers of open sagas, the earliest first."""

import heapq
from typing import Final

from application.sagas.open_sagas import OpenSagas

_STALE: Final = 10_000
_AT_ONCE: Final = 256


class Timers:
    """A heap of what was set; what is not set any more is passed over when its time comes."""

    def __init__(self, open_sagas: OpenSagas) -> None:
        self._open = open_sagas
        self._heap: list[tuple[int, str, str]] = []

    def set(self, at_us: int, timer_id: str, saga_id: str) -> None:
        """Remember one."""
        heapq.heappush(self._heap, (at_us, timer_id, saga_id))

    def next_us(self) -> int | None:
        """When to look again; None: nothing is set."""
        return self._heap[0][0] if self._heap else None

    def due(self, now_us: int) -> list[tuple[str, str]]:
        """Sagas whose timers are due, with the timers' ids, and forget them; at most 256."""
        if len(self._heap) > 2 * len(self._open.all) + _STALE:
            self._compact()  # nearly all are deadlines of calls that went well
        due: list[tuple[str, str]] = []
        while self._heap and self._heap[0][0] <= now_us and len(due) < _AT_ONCE:
            _, timer_id, id = heapq.heappop(self._heap)
            one = self._open.all.get(id)
            timer = one.state.timer if one is not None else None
            if timer is not None and timer.id == timer_id:
                due.append((id, timer_id))
        return due

    def _compact(self) -> None:
        timers = ((id, one.state.timer) for id, one in self._open.all.items())
        self._heap = [(timer.at_us, timer.id, id) for id, timer in timers if timer is not None]
        heapq.heapify(self._heap)
