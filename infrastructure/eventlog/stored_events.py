"""Stored events of the `eventsourcing` library in a log's streams: what all its recorders share.

An originator is a stream. The library's own version of an event is in its metadata, because it
need not be the log's, which counts from 0.

Source: eventsourcing.persistence, version 9.5.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    DataError,
    IntegrityError,
    OperationalError,
    StoredEvent,
)

from application.ports.event_store import (
    NO_STREAM,
    NewEvent,
    RecordedEvent,
    StoreReadOnly,
    StreamAppend,
    WrongExpectedVersion,
)
from domain.errors import Busy
from infrastructure.eventlog.encoding import MAX_EVENTS_PER_STREAM
from infrastructure.eventlog.store import EventLog


class LogRecorder:
    """What all recorders share: a log, and appends that answer in the library's errors."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def append(self, batch: list[StreamAppend]) -> int:
        try:
            (outcome,) = self.log.append_sync([batch])
        except (StoreReadOnly, Busy) as error:
            raise OperationalError(error.detail) from error
        except (ValueError, TypeError) as error:
            raise DataError(str(error)) from error  # over a limit of the log
        if isinstance(outcome, WrongExpectedVersion):
            raise IntegrityError(outcome.detail)
        return outcome

    def last_event(self, stream: str) -> tuple[int, RecordedEvent | None]:
        """Version of a stream in the log, and its last event."""
        version = self.log.stream_version(stream)
        if version == NO_STREAM:
            return NO_STREAM, None
        return version, self.log.read_stream(stream, after_version=version - 1, limit=1)[0]


class LogAggregateRecorder(LogRecorder, AggregateRecorder):
    """Events or snapshots by originator. Versions of events follow on one another; snapshots'
    only increase.
    """

    def __init__(self, log: EventLog, *, contiguous: bool = True) -> None:
        super().__init__(log)
        self._contiguous = contiguous

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append, all or nothing.

        Raises:
            IntegrityError: a version is already there, or does not follow on the last one.
        """
        self._insert(stored_events, [])
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one originator, by version."""
        stream = stream_of(originator_id)
        last = self.log.stream_version(stream)
        # In the log's own versions: behind `after`, up to `last`, and no more than is wanted.
        after = -1 if gt is None else self._up_to(stream, last, gt)
        if lte is not None:
            last = self._up_to(stream, last, lte)
        if limit is not None and desc:
            after = max(after, last - limit)
        elif limit is not None:
            last = min(last, after + limit)
        if after >= last:
            return []
        found = [
            StoredEvent(originator_id, int(one.metadata), one.type, one.payload)
            for one in self.log.read_stream(stream, after, last - after)
        ]
        return found[::-1] if desc else found

    def _insert(
        self, stored_events: Sequence[StoredEvent], before: list[StreamAppend]
    ) -> Sequence[int]:
        batch = [*before, *self._appends(stored_events)]
        if not batch:
            return []
        last = self.append(batch)
        return list(range(last - len(stored_events) + 1, last + 1))

    def _appends(self, stored_events: Sequence[StoredEvent]) -> list[StreamAppend]:
        heads: dict[str, tuple[int, int | None]] = {}
        appends: list[StreamAppend] = []
        for stored in stored_events:
            stream = stream_of(stored.originator_id)
            if stream not in heads:
                version, event = self.last_event(stream)
                heads[stream] = (version, int(event.metadata) if event else None)
            version, last = heads[stream]
            self._check(stored, last)
            new = NewEvent(stored.topic, stored.state, b"%d" % stored.originator_version)
            open_append = appends[-1] if appends else None
            if (
                open_append is not None
                and open_append.stream == stream
                and len(open_append.events) < MAX_EVENTS_PER_STREAM
            ):
                assert isinstance(open_append.events, list)
                open_append.events.append(new)
            else:
                appends.append(StreamAppend(stream, version, [new]))
            heads[stream] = (version + 1, stored.originator_version)
        return appends

    def _check(self, stored: StoredEvent, last: int | None) -> None:
        version = stored.originator_version
        if last is None:
            # The library's streams begin at 1 by default, and at 0 where somebody chose so.
            allowed = not self._contiguous or version in (0, 1)
        else:
            allowed = version == last + 1 if self._contiguous else version > last
        if not allowed:
            raise IntegrityError(
                f"{stored.originator_id} is at version {last}, can't record version {version}"
            )

    def _up_to(self, stream: str, last: int, version: int) -> int:
        """The log's version of the last event whose own version is not over `version`; -1: none.

        They differ: the library's events begin at 1, and snapshots are of any version.
        """

        def own(number: int) -> int:
            return int(self.log.read_stream(stream, number - 1, 1)[0].metadata)

        if last < 0:
            return -1
        if self._contiguous:
            return max(-1, min(last, version - own(0)))
        return bisect_right(range(last + 1), version, key=own) - 1


def stream_of(originator_id: UUID | str) -> str:
    """Stream of an originator; the prefix tells a UUID from a string."""
    return f"u-{originator_id}" if isinstance(originator_id, UUID) else f"s-{originator_id}"
