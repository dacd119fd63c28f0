"""Recorders of the `eventsourcing` library over a log; `recorder` makes them.

Notification ids are positions: commit order is id order, and they have gaps where a process
recorder wrote its tracking.

Source: eventsourcing.persistence, version 9.5.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
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

_TRACKING_TYPE: Final = "eventsourcing.tracking"
_PAGE: Final = 1_000

_listeners: Final[WeakKeyDictionary[EventLog, set[threading.Event]]] = WeakKeyDictionary()
"""Of a log, not of a recorder: several recorders of a process may write one log."""


class LogRecorder:
    """What all recorders share: a log, and appends that answer in the library's errors."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def _append(self, batch: list[StreamAppend]) -> int:
        try:
            (outcome,) = self.log.append_sync([batch])
        except (StoreReadOnly, Busy) as error:
            raise OperationalError(error.detail) from error
        if isinstance(outcome, WrongExpectedVersion):
            raise IntegrityError(outcome.detail)
        return outcome

    def _last(self, stream: str) -> tuple[int, RecordedEvent | None]:
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
        after = -1
        if gt is not None and self._contiguous and (base := self._base(stream)) is not None:
            after = max(-1, gt - base)
        bounded = limit if not desc and lte is None and after >= 0 else None
        found = []
        for recorded in self.log.read_stream(stream, after, bounded):
            version = int(recorded.metadata)
            if (gt is None or version > gt) and (lte is None or version <= lte):
                found.append(StoredEvent(originator_id, version, recorded.type, recorded.payload))
        if desc:
            found.reverse()
        return found if limit is None else found[:limit]

    def _insert(
        self, stored_events: Sequence[StoredEvent], before: list[StreamAppend]
    ) -> Sequence[int]:
        batch = [*before, *self._appends(stored_events)]
        if not batch:
            return []
        last = self._append(batch)
        return list(range(last - len(stored_events) + 1, last + 1))

    def _appends(self, stored_events: Sequence[StoredEvent]) -> list[StreamAppend]:
        heads: dict[str, tuple[int, int | None]] = {}
        appends: list[StreamAppend] = []
        for stored in stored_events:
            stream = stream_of(stored.originator_id)
            if stream not in heads:
                version, event = self._last(stream)
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

    def _base(self, stream: str) -> int | None:
        first = self.log.read_stream(stream, limit=1)
        return int(first[0].metadata) if first else None


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Events by originator and as one sequence."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self._listeners = _listeners.setdefault(log, set())

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """As `LogAggregateRecorder.insert_events`; returns the notification ids."""
        ids = self._insert(stored_events, self._with_tracking(kwargs.get("tracking")))
        for listener in list(self._listeners):
            listener.set()
        return ids

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events of the sequence from `start` to `stop`, at most `limit`."""
        after = 0 if start is None else start - int(inclusive_of_start)
        found: list[Notification] = []
        while len(found) < limit:
            events = self.log.read(max(0, after), _PAGE)
            if not events:
                break
            for event in events:
                after = event.position
                if stop is not None and after > stop:
                    return found
                if event.type == _TRACKING_TYPE or (topics and event.type not in topics):
                    continue
                found.append(_notification(event))
                if len(found) == limit:
                    break
        return found

    def max_notification_id(self) -> int | None:
        """Position of the last event; None: there is none."""
        position = self.log.durable_position
        while position > 0:
            page = self.log.read(max(0, position - _PAGE), min(_PAGE, position))
            for event in reversed(page):
                if event.type != _TRACKING_TYPE:
                    return event.position
            position = page[0].position - 1
        return None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Events after `gt`, then new ones as they are recorded in this process."""
        return LogSubscription(self, gt, topics)

    def listen(self, event: threading.Event) -> None:
        """Set the event whenever something is recorded."""
        self._listeners.add(event)

    def unlisten(self, event: threading.Event) -> None:
        """No more."""
        self._listeners.discard(event)

    def _with_tracking(self, tracking: Tracking | None) -> list[StreamAppend]:
        return []


class LogSubscription(ListenNotifySubscription[LogApplicationRecorder]):
    """A subscription that is woken by the recorder of its process."""

    def __init__(
        self, recorder: LogApplicationRecorder, gt: int | None, topics: Sequence[str]
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._recorder.listen(self._has_been_notified)

    def stop(self) -> None:
        """End it."""
        super().stop()
        self._recorder.unlisten(self._has_been_notified)


class LogTrackingRecorder(LogRecorder, TrackingRecorder):
    """How far upstream applications have been processed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record that a notification was processed.

        Raises:
            IntegrityError: it is not after the last one.
        """
        self._append([self._track(tracking)])

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last processed notification of an application."""
        _, event = self._last(_tracking_stream(application_name))
        return int(event.payload) if event is not None else None

    def _track(self, tracking: Tracking) -> StreamAppend:
        stream = _tracking_stream(tracking.application_name)
        version, event = self._last(stream)
        last = int(event.payload) if event is not None else None
        if last is not None and tracking.notification_id <= last:
            raise IntegrityError(
                f"{tracking.application_name} was tracked to {last} already,"
                f" can't go to {tracking.notification_id}"
            )
        payload = b"%d" % tracking.notification_id
        return StreamAppend(stream, version, [NewEvent(_TRACKING_TYPE, payload, b"")])


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events and tracking in one atomic batch."""

    def __init__(self, log: EventLog) -> None:
        LogApplicationRecorder.__init__(self, log)

    def _with_tracking(self, tracking: Tracking | None) -> list[StreamAppend]:
        return [] if tracking is None else [self._track(tracking)]


def stream_of(originator_id: UUID | str) -> str:
    """Stream of an originator; the prefix tells a UUID from a string."""
    return f"u-{originator_id}" if isinstance(originator_id, UUID) else f"s-{originator_id}"


def _originator_of(stream: str) -> UUID | str:
    kind, _, text = stream.partition("-")
    return UUID(text) if kind == "u" else text


def _tracking_stream(application_name: str) -> str:
    return f"t-{application_name}"


def _notification(event: RecordedEvent) -> Notification:
    return Notification(
        originator_id=_originator_of(event.stream),
        originator_version=int(event.metadata),
        topic=event.type,
        state=event.payload,
        id=event.position,
    )
