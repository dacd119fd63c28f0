"""The event log as the application sees it.

Two views of one log: `EventStore` for the core process, the only writer, and `EventFeed` for
everything downstream, which reads the log's files itself. A position is the cursor everywhere.

Source: docs/formats/segment.md, ADR 0002.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from domain.errors import InfrastructureError, Unavailable

NO_STREAM: Final = -1
"""Expected version: the stream must not exist yet."""

ANY_VERSION: Final = -2
"""Expected version: whatever the stream's version is."""


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that is not yet in the log.

    A struct, as the two below: it is made in a sixth of a named tuple's time.
    """

    type: str
    """Stored name with its schema version, for example `conversation.message_accepted.v1`."""
    payload: bytes
    metadata: bytes


class StreamAppend(msgspec.Struct, frozen=True, gc=False):
    """Events for one stream, with the version that the decision was based on."""

    stream: str
    expected_version: int
    """Version of the stream's last event, `NO_STREAM` or `ANY_VERSION`. Versions count from 0."""
    events: Sequence[NewEvent]


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it stands in the log."""

    position: int
    """Counted from 1 over the whole log, without gaps."""
    stream: str
    version: int
    """Counted from 0 within the stream."""
    type: str
    recorded_us: int
    """Microseconds since 1970 UTC; never decreases along the log."""
    metadata: bytes
    payload: bytes


class MatchingEvents(NamedTuple):
    """What a filtered read found, and how far it looked."""

    events: list[RecordedEvent]
    next_position: int
    """Read on after this one. It moves over events that do not match, so a filter that finds
    nothing still gets to the end."""


class WrongExpectedVersion(InfrastructureError):
    """Another command was first: reload and decide again."""

    code = "wrong-expected-version"

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream} is at version {actual}, expected {expected}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class StoreReadOnly(InfrastructureError):
    """The log takes no more events (write failure, full disk); what it holds stays readable."""

    code = "store-read-only"


class IndexProgress(NamedTuple):
    """How far the index of streams, a cache of the log, has been built anew."""

    done: int
    """Position up to which it knows every event; moves in steps of some 200,000."""
    total: int
    """Position up to which it has to."""

    @property
    def percent(self) -> int:
        """From 0 to 99: at 100 it is whole, and there is no progress to tell of."""
        return min(99, 100 * self.done // max(1, self.total))


class IndexRebuilding(Unavailable):
    """Streams can't be looked up until the index is whole again; nothing was written."""

    code = "index-rebuilding"

    def __init__(self, progress: IndexProgress, failure: str | None) -> None:
        how_far = f"{progress.percent} % of {progress.total:,} events"
        if failure is None:
            sentence = f"being rebuilt: {how_far}; commands are taken when it is done."
        else:
            sentence = f"not whole ({how_far}), and can't be rebuilt: {failure}"
        super().__init__(f"The index of streams is {sentence}")


class EventStore(Protocol):
    """The log in the core process, its only writer.

    While `index_progress` is not None, whatever has to look up a stream raises `IndexRebuilding`:
    `append`, `append_all`, `read_stream`, `stream_version`, `absent`.
    """

    async def append(self, batch: Sequence[StreamAppend]) -> int:
        """Append to one or more streams, all or nothing, durable on return.

        Calls made at once share a group commit, in the order in which they were made.

        Args:
            batch: 1 to 10,000 streams with 1 to 1,000 events each, 16 MiB encoded in all.
                The same stream may appear again later in the batch.

        Returns:
            Position of the last event of the batch; its events have contiguous positions.

        Raises:
            WrongExpectedVersion: nothing of this batch was written.
            StoreReadOnly: nothing of this batch was acknowledged; the reason is in the message.
            IndexRebuilding: nothing of this batch was written.
        """
        ...

    async def append_all(
        self, batches: Sequence[Sequence[StreamAppend]]
    ) -> "list[int | WrongExpectedVersion]":
        """Several batches in one group commit, each one all or nothing by itself.

        Returns:
            For each batch its last position, or why it was refused, in order.

        Raises:
            StoreReadOnly: nothing of any batch was acknowledged.
            IndexRebuilding: nothing of any batch was written.
        """
        ...

    def read_stream(
        self,
        stream: str,
        after_version: int = -1,
        limit: int | None = None,
        up_to_position: int | None = None,
    ) -> list[RecordedEvent]:
        """Durable events of one stream in version order; empty for an unknown stream."""
        ...

    def stream_version(self, stream: str) -> int:
        """Version of the stream's last durable event; `NO_STREAM` if there is none."""
        ...

    def absent(self, streams: Sequence[str]) -> set[str]:
        """Those of the streams that have no durable event; cheaper for many than one by one."""
        ...

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """Durable events of the whole log with `position > after`, at most `limit`."""
        ...

    @property
    def durable_position(self) -> int:
        """Position of the last event on disk, 0 for an empty log."""
        ...

    @property
    def failure(self) -> str | None:
        """Why the log takes no more events; None: it does."""
        ...

    @property
    def index_progress(self) -> IndexProgress | None:
        """How far the index of streams is being rebuilt; None: it is whole."""
        ...

    @property
    def index_failure(self) -> str | None:
        """Why the index could not be written the last time; None: it could."""
        ...


class EventFeed(Protocol):
    """The log's files read from any process, never past the durable watermark."""

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """Durable events with `position > after`, at most `limit`; cheap when read in order."""
        ...

    def read_matching(
        self, after: int, limit: int, types: Sequence[str] = (), categories: Sequence[str] = ()
    ) -> MatchingEvents:
        """Durable events with `position > after` that pass the filters, at most `limit`.

        Looks at a bounded number of events and then says how far it came, found or not. It is at
        the end when `next_position` is the durable position.

        Args:
            after: 0, or a `next_position`.
            limit: At least 1.
            types: Stored names, any of which passes; `message.*` passes all that begin with
                `message.`. Empty: every type.
            categories: First parts of streams' names, before the first `-`, any of which passes.
                Empty: every stream.
        """
        ...

    def position_at(self, recorded_us: int) -> int:
        """Position of the last durable event that was recorded at or before a moment (microseconds
        since 1970, UTC), 0: none was. Recorded times never go back along the log.
        """
        ...

    def durable_position(self) -> int:
        """Position of the last event on disk, 0 for an empty log."""
        ...

    def wait(self, after: int, timeout_s: float) -> int:
        """Block until an event with `position > after` is durable, or the time is over.

        Returns:
            The durable position.
        """
        ...

    def fileno(self) -> int:
        """A descriptor that becomes readable when the durable position moves, for event loops."""
        ...

    def drain(self) -> None:
        """Consume what made `fileno()` readable."""
        ...

    def close(self) -> None:
        """Release descriptors and maps."""
        ...
