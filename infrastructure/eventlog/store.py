"""The log in the process that writes it: `EventStore`."""

import asyncio
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from application.ports.event_store import (
    IndexProgress,
    MatchingEvents,
    RecordedEvent,
    StreamAppend,
    WrongExpectedVersion,
)
from infrastructure.eventlog.active import ActiveSegment
from infrastructure.eventlog.disk import Disk, DiskFull, is_full
from infrastructure.eventlog.filtering import EventFilter, MatchingScan
from infrastructure.eventlog.index import Index
from infrastructure.eventlog.queue import Outcome
from infrastructure.eventlog.rebuild import Progress, drop_unfit, index_rest
from infrastructure.eventlog.rebuilding import AT_ONCE_EVENTS, IndexRebuilder
from infrastructure.eventlog.recovery import Tail, last_timestamp_us, lock_directory, recover
from infrastructure.eventlog.sealing import make_directory
from infrastructure.eventlog.segment import read_footer, read_header
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.stats import LogStats
from infrastructure.eventlog.tail import StreamTail
from infrastructure.eventlog.watermark import Watermark
from infrastructure.eventlog.writer import (
    MAX_SEGMENT_AGE_S,
    MAX_SEGMENT_BYTES,
    LogWriter,
)

INDEX_DIRECTORY = "index"
_FIRST_HASH = bytes(32)
MAX_SEGMENT_LIMIT = 2 * 1024**3


class EventLog:
    """Writer, index and reader of one log directory. Open it with `EventLog.open`."""

    def __init__(
        self,
        lock: int,
        writer: LogWriter,
        tail: StreamTail,
        index: Index,
        reader: SegmentReader,
        rebuilder: IndexRebuilder | None = None,
    ) -> None:
        self._lock = lock
        self._writer = writer
        self._tail = tail
        self._index = index
        self._reader = reader
        self._rebuilder = rebuilder
        self._scan = MatchingScan(reader.passing)
        self._reading = threading.Lock()
        self._closed = False
        self.recovered: Tail | None = None
        """What opening cut off or found missing, for the health output; None: all was there."""

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        disk: Disk | None = None,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        max_segment_age_s: float = MAX_SEGMENT_AGE_S,
        progress: Progress = lambda done, total: None,
        index_in_background: bool = False,
    ) -> "EventLog":
        """Lock, recover, bring the index up to date and begin to write.

        Args:
            directory: Of the log; made if it does not exist.
            disk: System calls; fault tests pass one that fails.
            max_segment_bytes: Size at which a segment is sealed, up to 2 GiB.
            max_segment_age_s: Age of its first event at which a segment is sealed.
            progress: Called with (positions done, positions in all) while the index is built
                before this returns.
            index_in_background: Return at once although more than 300,000 events are missing from
                the index, and build it in a thread. Until it is whole (`index_progress`,
                `wait_for_index`), whatever looks up a stream raises `IndexRebuilding`.

        Raises:
            LogLocked: another process writes it.
            CorruptLog: and its kinds; no event was changed.
            DiskFull: there is no space for a segment, or for the index.
            NewerFormat: a newer kefu wrote it.
        """
        if not 0 < max_segment_bytes <= MAX_SEGMENT_LIMIT:
            raise ValueError(f"a segment has 1 to {MAX_SEGMENT_LIMIT} bytes")
        make_directory(directory)
        disk = disk or Disk()
        with ExitStack() as undo:
            lock = lock_directory(directory)
            undo.callback(os.close, lock)
            segments, tail = recover(directory, disk)
            if tail is not None:
                active = ActiveSegment.resume(tail, disk)
                next_position = tail.next_position
            else:
                previous = read_footer(segments[-1].path) if segments else None
                next_position = previous.last_position + 1 if previous else 1
                previous_hash = previous.content_hash if previous else _FIRST_HASH
                active = ActiveSegment.create(directory, next_position, previous_hash, disk)
            undo.callback(active.close)
            log_uuid = read_header(segments[0].path if segments else active.path).uuid
            index = Index(directory / INDEX_DIRECTORY)
            undo.callback(index.close)
            durable = Watermark(next_position - 1, active.base_position, active.end)
            rebuilder = None
            try:
                done = drop_unfit(directory, index, log_uuid, durable)
                if index_in_background and durable.position - done > AT_ONCE_EVENTS:
                    rebuilder = IndexRebuilder(directory, index, log_uuid, durable, done)
                    undo.callback(rebuilder.close)
                else:
                    index_rest(directory, index, log_uuid, durable, progress)
            except OSError as error:
                if not is_full(error):
                    raise
                reason = "no space to bring the index up to date; free some, then start"
                raise DiskFull(error.errno, reason, str(directory)) from error
            stream_tail = StreamTail(index, log_uuid)
            writer = LogWriter(
                directory,
                active,
                next_position,
                last_timestamp_us(segments, tail),
                stream_tail,
                disk=disk,
                max_segment_bytes=max_segment_bytes,
                max_segment_age_s=max_segment_age_s,
            )
            undo.pop_all()
        log = cls(lock, writer, stream_tail, index, SegmentReader(directory), rebuilder)
        log.recovered = tail if tail is not None and (tail.cut or tail.missing) else None
        return log

    @property
    def stats(self) -> LogStats:
        """Numbers about the writer."""
        return self._writer.stats

    @property
    def failure(self) -> str | None:
        """Why the log takes no more events; None: it does."""
        return self._writer.failure

    @property
    def index_failure(self) -> str | None:
        """As `EventStore.index_failure`; while it is rebuilt, why that does not go on."""
        rebuilding = self._rebuilder.failure if self._rebuilder is not None else None
        return rebuilding or self._writer.index_failure or self._index.failure

    @property
    def index_error(self) -> Exception | None:
        """What ended the rebuild of the index for good: mostly a `CorruptLog`; None: nothing."""
        return self._rebuilder.error if self._rebuilder is not None else None

    @property
    def index_progress(self) -> IndexProgress | None:
        """As `EventStore.index_progress`."""
        return self._rebuilder.progress if self._rebuilder is not None else None

    def wait_for_index(self, timeout_s: float | None = None) -> bool:
        """Wait until the index of streams is whole; whether it is.

        Raises:
            CorruptLog: the log is damaged, and the index can't be built.
        """
        return self._rebuilder is None or self._rebuilder.wait(timeout_s)

    @property
    def maps_missing(self) -> int:
        """Sealed segments whose map is still to be made, in the background."""
        return self._writer.maps.missing

    @property
    def durable_position(self) -> int:
        """As `EventStore.durable_position`."""
        return self._writer.durable_position

    async def append(self, batch: Sequence[StreamAppend]) -> int:
        """As `EventStore.append`."""
        (outcome,) = await self.append_all([batch])
        if isinstance(outcome, WrongExpectedVersion):
            raise outcome
        return outcome

    async def append_all(self, batches: Sequence[Sequence[StreamAppend]]) -> list[Outcome]:
        """As `EventStore.append_all`."""
        self._require_index()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Outcome]] = loop.create_future()

        def settle(outcome: list[Outcome] | Exception) -> None:
            if future.done():
                return  # the caller was cancelled; the events are on disk all the same
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        def done(outcome: list[Outcome] | Exception) -> None:
            # RuntimeError when the loop is closed: the writer takes that as nobody to tell.
            loop.call_soon_threadsafe(settle, outcome)

        self._writer.submit(batches, done)
        return await future

    def append_sync(self, batches: Sequence[Sequence[StreamAppend]]) -> list[Outcome]:
        """As `append_all`, for threads."""
        self._require_index()
        return self._writer.append(batches)

    def read_stream(
        self,
        stream: str,
        after_version: int = -1,
        limit: int | None = None,
        up_to_position: int | None = None,
    ) -> list[RecordedEvent]:
        """As `EventStore.read_stream`."""
        self._require_index()
        locations = self._tail.locations(stream, after_version, limit)
        upto = self._writer.watermark
        events: list[RecordedEvent] = []
        with self._reading:
            for location in locations:
                if up_to_position is not None and location.position > up_to_position:
                    break
                events.append(self._reader.at(stream, location, upto))
        return events

    def stream_version(self, stream: str) -> int:
        """As `EventStore.stream_version`."""
        self._require_index()
        return self._tail.last_version(stream)

    def absent(self, streams: Sequence[str]) -> set[str]:
        """As `EventStore.absent`."""
        self._require_index()
        return self._tail.absent(streams)

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventStore.read`."""
        with self._reading:
            return self._reader.read(after, limit, self._writer.watermark)

    def position_at(self, recorded_us: int) -> int:
        """As `EventFeed.position_at`."""
        with self._reading:
            return self._reader.position_at(recorded_us, self._writer.watermark)

    def read_matching(
        self, after: int, limit: int, types: Sequence[str] = (), categories: Sequence[str] = ()
    ) -> MatchingEvents:
        """As `EventFeed.read_matching`."""
        wanted = EventFilter(types, categories)
        with self._reading:
            return self._scan.read(after, limit, wanted, self._writer.watermark)

    def close(self) -> None:
        """Write what is queued, flush the index, release the lock."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as stack:
            stack.callback(os.close, self._lock)
            stack.callback(self._index.close)
            stack.callback(self._reader.close)
            stack.callback(self._writer.close)
            if self._rebuilder is not None:
                self._rebuilder.close()

    def _require_index(self) -> None:
        if self._rebuilder is not None:
            self._rebuilder.require()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
