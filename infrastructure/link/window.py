"""Events that have come over a link and wait to be read, in order; has no I/O."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from application.ports.event_store import MatchingEvents, RecordedEvent
from infrastructure.link.protocol import LinkProtocolError, Mark

MAX_EVENTS: Final = 20_000
MAX_BYTES: Final = 16 * 1024 * 1024
_OVERHEAD_BYTES: Final = 400
"""Of an event's objects."""


class EventWindow:
    """Positions without a gap, of which the front goes when something behind it is read.

    It takes what it is given and says when it is full: whoever fills it then stops to.
    """

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self.begins = 0
        """Everything up to here has been read, or was before the beginning."""
        self.last = Mark(0, 0)
        """The newest event that came, read or not."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[RecordedEvent] = deque()
        self._bytes = 0

    def begin(self, mark: Mark) -> None:
        """Hold nothing; the event behind the mark comes next."""
        self._events.clear()
        self._bytes = 0
        self.last = mark
        self.begins = mark.position

    def add(self, events: Sequence[RecordedEvent]) -> None:
        """Take what comes next.

        Raises:
            LinkProtocolError: events are missing or came before; nothing behind them was taken.
        """
        for event in events:
            if event.position != self.last.position + 1:
                raise LinkProtocolError(f"event {event.position} came behind {self.last.position}")
            self._events.append(event)
            self._bytes += _size(event)
            self.last = Mark(event.position, event.recorded_us)

    @property
    def full(self) -> bool:
        """Nothing more should be added for now."""
        return len(self._events) >= self._max_events or self._bytes >= self._max_bytes

    @property
    def roomy(self) -> bool:
        """It was emptied far enough to go on filling it."""
        return len(self._events) <= self._max_events // 2 and self._bytes <= self._max_bytes // 2

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventFeed.read`, for `after >= begins`."""
        self._forget(after)
        return list(islice(self._events, max(0, limit)))

    def read_matching(
        self, after: int, limit: int, types: Sequence[str], categories: Sequence[str]
    ) -> MatchingEvents:
        """As `EventFeed.read_matching`, for `after >= begins`."""
        self._forget(after)
        exact = {one for one in types if not one.endswith("*")}
        beginnings = tuple(one[:-1] for one in types if one.endswith("*"))
        found: list[RecordedEvent] = []
        for event in self._events:
            if types and event.type not in exact and not event.type.startswith(beginnings):
                continue
            if categories and event.stream.partition("-")[0] not in categories:
                continue
            found.append(event)
            if len(found) >= limit:
                return MatchingEvents(found, event.position)
        return MatchingEvents(found, max(after, self.last.position))

    def _forget(self, upto: int) -> None:
        events = self._events
        while events and events[0].position <= upto:
            self._bytes -= _size(events.popleft())
        self.begins = max(self.begins, min(upto, self.last.position))


def _size(event: RecordedEvent) -> int:
    return _OVERHEAD_BYTES + len(event.payload) + len(event.metadata)
