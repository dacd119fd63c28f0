"""Recorders of the `eventsourcing` library over a log that know positions; `recorder` makes them.

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
    ApplicationRecorder,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    ProcessRecorder,
    ShutDown,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)

from application.ports.event_store import NewEvent, RecordedEvent, StreamAppend
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.stored_events import LogAggregateRecorder, LogRecorder

_TRACKING_TYPE: Final = "eventsourcing.tracking"
_PAGE: Final = 1_000

_listeners: Final[WeakKeyDictionary[EventLog, set[threading.Event]]] = WeakKeyDictionary()
"""Of a log, not of a recorder: several recorders of a process may write one log."""


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
        return self.scan(max(0, after), limit, topics, stop)[0]

    def scan(
        self, after: int, limit: int, topics: Sequence[str] = (), stop: int | None = None
    ) -> tuple[list[Notification], int]:
        """Notifications after a position, and the position to go on after, which moves over what
        has another topic; fewer than `limit`: it is at the end.
        """
        found: list[Notification] = []
        end = self.log.durable_position if stop is None else min(stop, self.log.durable_position)
        while len(found) < limit and after < end:
            events, after = self.log.read_matching(after, limit - len(found), topics)
            found += [
                _notification(event)
                for event in events
                if event.type != _TRACKING_TYPE and (stop is None or event.position <= stop)
            ]
        return found, after

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
        self._has_been_notified.set()  # for what was recorded between the first look and now

    def stop(self) -> None:
        """End it."""
        super().stop()
        self._recorder.unlisten(self._has_been_notified)

    def _pull(self) -> None:
        # The library's goes on after the last match: with a rare topic every wake-up would look
        # at all that came since.
        while not self._has_been_stopped:
            self._has_been_notified.clear()
            found, self._last_notification_id = self._recorder.scan(
                self._last_notification_id or 0, self._select_limit, self._topics
            )
            if found:
                try:
                    self._notifications_queue.put(found)
                except ShutDown:
                    return
            if len(found) < self._select_limit:
                return


class LogTrackingRecorder(LogRecorder, TrackingRecorder):
    """How far upstream applications have been processed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record that a notification was processed.

        Raises:
            IntegrityError: it is not after the last one.
        """
        self.append([self._track(tracking)])

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last processed notification of an application."""
        _, event = self.last_event(_tracking_stream(application_name))
        return int(event.payload) if event is not None else None

    def _track(self, tracking: Tracking) -> StreamAppend:
        stream = _tracking_stream(tracking.application_name)
        version, event = self.last_event(stream)
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
