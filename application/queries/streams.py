"""Whole streams for whoever folds them outside the core: over its socket, or from the files."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

from application.ports.core import Core
from application.ports.event_store import EventFeed, RecordedEvent
from application.queries.core import ReadStreams, StreamSlice, StreamsRead
from application.queries.service import MAX_SLICE_EVENTS, MAX_SLICES

_PAGE: Final = 5_000


class StreamReader(Protocol):
    """Durable events by stream."""

    def events(
        self, streams: Sequence[str], up_to: int | None = None
    ) -> AsyncIterator[RecordedEvent]:
        """All events of the streams up to a position, each stream's in version order; which stream
        comes first is left open. Reads as it is asked, so a caller may stop early.
        """
        ...


class CoreStreams:
    """`StreamReader` over the core's index of streams: a look-up a stream."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def events(
        self, streams: Sequence[str], up_to: int | None = None
    ) -> AsyncIterator[RecordedEvent]:
        """As `StreamReader.events`."""
        todo = [StreamSlice(stream) for stream in streams]
        while todo:
            asked = todo[:MAX_SLICES]
            found: StreamsRead = await self._core.query(ReadStreams(tuple(asked), up_to))
            counts = dict.fromkeys((one.stream for one in asked[: found.slices]), 0)
            last = dict.fromkeys(counts, -1)
            for event in found.events:
                counts[event.stream] += 1
                last[event.stream] = event.version
                yield event
            unfinished = [
                StreamSlice(stream, last[stream])
                for stream, count in counts.items()
                if count == MAX_SLICE_EVENTS
            ]
            todo = unfinished + todo[found.slices :]


class FeedStreams:
    """`StreamReader` over the log's files alone: every call reads the whole log once.

    For a log that no core serves, such as a restored backup.
    """

    def __init__(self, feed: EventFeed, progress: Callable[[int, int], None]) -> None:
        """`progress` is told (positions done, positions in all)."""
        self._feed = feed
        self._progress = progress

    async def events(
        self, streams: Sequence[str], up_to: int | None = None
    ) -> AsyncIterator[RecordedEvent]:
        """As `StreamReader.events`."""
        wanted = frozenset(streams)
        categories = sorted({stream.partition("-")[0] for stream in wanted})
        end = self._feed.durable_position()
        if up_to is not None:
            end = min(end, up_to)
        at = 0
        while wanted and at < end:
            found, at = self._feed.read_matching(at, _PAGE, (), categories)
            for event in found:
                if event.stream in wanted and event.position <= end:
                    yield event
            self._progress(min(at, end), end)
