"""Going along the event feed with filters."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from application.ports.event_store import EventFeed, RecordedEvent

_PAGE: Final = 1_000
_FIRST_WINDOW: Final = 10_000


class FeedCursor:
    """A place in the feed that moves over what it hands out and over what does not match."""

    def __init__(
        self,
        feed: EventFeed,
        after: int = 0,
        types: Sequence[str] = (),
        categories: Sequence[str] = (),
    ) -> None:
        """Filters are those of `EventFeed.read_matching`."""
        self.position = after
        """Everything up to here was handed out, or does not match."""
        self._feed = feed
        self._types = types
        self._categories = categories

    def to_end(self) -> Iterator[RecordedEvent]:
        """Matching events to the durable position as it is when the call is made."""
        return self._up_to(self._feed.durable_position())

    def go_back(self, count: int) -> None:
        """Stand before the last `count` matching events; at the beginning if there are fewer."""
        end = self._feed.durable_position()
        window = _FIRST_WINDOW if self._types or self._categories else count
        while end > 0 and count > 0:
            start = self.position = max(0, end - window)
            found = deque((event.position for event in self._up_to(end)), maxlen=count)
            count -= len(found)
            end, window = start, 2 * window
            self.position = found[0] - 1 if found and count == 0 else start

    def _up_to(self, end: int) -> Iterator[RecordedEvent]:
        while self.position < end:
            events, following = self._feed.read_matching(
                self.position, _PAGE, self._types, self._categories
            )
            for event in events:
                if event.position > end:
                    break
                self.position = event.position
                yield event
            self.position = min(following, end)
