"""The log's feed with messages unsealed, for gateways on machines that hold no keys (ADR 0016)."""

from collections.abc import Callable, Sequence

import msgspec

from application.codec import UndecodableEvent
from application.ports.event_store import EventFeed, MatchingEvents, RecordedEvent
from application.ports.subject_keys import SubjectKeyMissing
from application.sealing import Opener


class UnsealedFeed:
    """As `EventFeed`; of messages the personal fields are in clear, or empty when their subject was
    erased. Everything else is as it is stored, and so is what can't be opened: whoever reads it
    says so.
    """

    def __init__(self, feed: EventFeed, opener: Opener) -> None:
        self._feed = feed
        self._opener = opener
        self.position_at: Callable[[int], int] = feed.position_at
        self.durable_position: Callable[[], int] = feed.durable_position
        self.wait: Callable[[int, float], int] = feed.wait
        self.fileno: Callable[[], int] = feed.fileno
        self.drain: Callable[[], None] = feed.drain
        self.close: Callable[[], None] = feed.close

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventFeed.read`; raises Unavailable while keys can't be read."""
        return [self._unsealed(event) for event in self._feed.read(after, limit)]

    def read_matching(
        self, after: int, limit: int, types: Sequence[str] = (), categories: Sequence[str] = ()
    ) -> MatchingEvents:
        """As `EventFeed.read_matching`; raises Unavailable while keys can't be read."""
        found = self._feed.read_matching(after, limit, types, categories)
        return MatchingEvents([self._unsealed(e) for e in found.events], found.next_position)

    def _unsealed(self, recorded: RecordedEvent) -> RecordedEvent:
        if not recorded.stream.startswith("message-"):
            return recorded
        try:
            payload = self._opener.payload(recorded)
        except (SubjectKeyMissing, UndecodableEvent):
            return recorded
        return msgspec.structs.replace(recorded, payload=payload)
