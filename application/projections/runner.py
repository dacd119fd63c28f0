"""The batching runner: reads the log, folds events into rows, writes them exactly once.

One transaction holds the rows of a batch and its tracking row, so an event counts once however
often the runner is killed. An event that can't be decoded, folded or stored is parked with its
error and shown in `kefu views status`; the others go on. While the database does not answer the
runner waits and catches up afterwards.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from application.codec import Envelope, UndecodableEvent, UnknownEventType
from application.ports.event_store import RecordedEvent
from application.ports.projection_store import BadRow, ProjectionStore
from application.ports.subject_keys import SubjectKeyMissing
from application.projections import (
    agents,
    api_keys,
    contacts,
    conversations,
    messages,
    refund_policies,
    refunds,
    sagas,
)
from application.projections.records import Changes, Keys, ParkedEvent, Records
from application.sealing import IN_CLEAR, Opener
from domain.contact.events import SubjectErased
from domain.errors import Conflict, Unavailable

_log = structlog.get_logger(__name__)

BATCH_EVENTS: Final = 20_000
"""Rows of conversations are written, and the search index merged, once a batch: large ones cost
less. A projector that has caught up takes what there is."""
_FIRST_RETRY_S: Final = 0.1
_LAST_RETRY_S: Final = 5.0


class ProjectedLog(Protocol):
    """As much of `EventFeed` as the runner needs."""

    def read(self, after: int, limit: int) -> list[RecordedEvent]: ...

    def durable_position(self) -> int: ...

    def wait(self, after: int, timeout_s: float) -> int: ...


class Projection(Protocol):
    """A module of one read model."""

    CATEGORY: str

    def keys(self, envelope: Envelope, found: Keys) -> None:
        """Name the rows that the event may change."""

    def apply(self, envelope: Envelope, before: Records, changes: Changes) -> None:
        """Change them."""


PROJECTIONS: Final[dict[str, Any]] = {
    module.CATEGORY: module
    for module in (
        *(conversations, messages, contacts, agents, api_keys),
        *(refunds, refund_policies, sagas),
    )
}
"""Stream category -> the read model that its events change."""


@dataclass
class ProjectionStats:
    """Plain numbers that a metrics collector reads."""

    position: int = 0
    lag_events: int = 0
    events: int = 0
    batches: int = 0
    parked: int = 0
    seconds: float = 0.0
    failures: int = 0


class ProjectionRunner:
    """Keeps one set of read models up to date."""

    def __init__(
        self,
        feed: ProjectedLog,
        store: ProjectionStore,
        *,
        batch_events: int = BATCH_EVENTS,
        opener: Opener = IN_CLEAR,
    ) -> None:
        self._opener = opener
        self.stats = ProjectionStats()
        self._feed = feed
        self._store = store
        self._batch_events = batch_events
        self._position: int | None = None

    def run(self, stop: Callable[[], bool]) -> None:
        """Go on until `stop` says so; survives a database that is down."""
        delay = _FIRST_RETRY_S
        while not stop():
            try:
                advanced = self.step()
                delay = _FIRST_RETRY_S
            except Unavailable as error:
                self._position = None  # whether the last batch was committed is not known
                self.stats.failures += 1
                self._measure_lag(self.stats.position)
                _log.warning("projector.database_unavailable", error=error.detail, retry_s=delay)
                _wait(delay, stop)
                delay = min(2 * delay, _LAST_RETRY_S)
                continue
            except Conflict as error:
                # A rebuild has switched, or another projector was first: go on from there.
                self._position = None
                _log.warning("projector.position_moved", error=error.detail)
                _wait(_FIRST_RETRY_S, stop)
                continue
            if not advanced:
                assert self._position is not None
                self._feed.wait(self._position, 0.5)

    def catch_up(self, position: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """Go on until the read models hold this position, which must be durable."""
        self._position = self._store.position()
        while self._position < position:
            self.step()
            progress(self._position)

    def step(self) -> bool:
        """One batch.

        Returns:
            False: there was nothing new.

        Raises:
            Unavailable: the database does not answer; nothing or all of the batch was written.
            Conflict: the read models are elsewhere by now; nothing was written.
        """
        if self._position is None:
            self._position = self._store.position()
        with _no_collection():
            events = self._feed.read(self._position, self._batch_events)
            if not events:
                self._measure_lag(self._position)
                return False
            started = time.perf_counter()
            self._project(events)
        self.stats.seconds += time.perf_counter() - started
        self.stats.batches += 1
        self.stats.events += len(events)
        self._measure_lag(self._position)
        return True

    def _measure_lag(self, position: int) -> None:
        self.stats.position = position
        self.stats.lag_events = max(0, self._feed.durable_position() - position)

    def _project(self, events: Sequence[RecordedEvent]) -> None:
        assert self._position is not None
        try:
            changes = fold(events, self._store.load, self._opener)
            self._store.commit(changes, self._position, events[-1].position)
        except BadRow as error:
            # One event of the batch holds what the database refuses: find it by halving.
            if len(events) > 1:
                middle = len(events) // 2
                self._project(events[:middle])
                self._project(events[middle:])
                return
            changes = Changes(parked=[_parked(events[0], error)])
            self._store.commit(changes, self._position, events[0].position)
        self.stats.parked += len(changes.parked)
        for parked in changes.parked:
            _log.error("projector.parked", position=parked.position, error=parked.error)
        self._position = events[-1].position


def fold(
    events: Sequence[RecordedEvent], load: Callable[[Keys], Records], opener: Opener = IN_CLEAR
) -> Changes:
    """What a batch of events changes.

    Args:
        load: Gives those of the named rows that exist.
    """
    changes = Changes()
    open_envelope = opener.open_envelope
    # Three lists, because a tuple for each event is work for the garbage collector.
    opened: list[RecordedEvent] = []
    envelopes: list[Envelope] = []
    projections: list[Any] = []
    keys = Keys()
    for recorded in events:
        projection = PROJECTIONS.get(recorded.stream.partition("-")[0])
        if projection is None:
            continue
        try:
            envelope = open_envelope(recorded)
        except (UnknownEventType, UndecodableEvent, SubjectKeyMissing) as error:
            changes.parked.append(_parked(recorded, error))
            continue
        if isinstance(envelope.event, SubjectErased) and envelope.event.key_id is not None:
            opener.forget(envelope.event.key_id)
        projection.keys(envelope, keys)
        opened.append(recorded)
        envelopes.append(envelope)
        projections.append(projection)
    before = load(keys)
    for recorded, envelope, projection in zip(opened, envelopes, projections, strict=True):
        try:
            projection.apply(envelope, before, changes)
        except Exception as error:  # noqa: BLE001 - parked with its error, and shown
            changes.parked.append(_parked(recorded, error))
    return changes


def _parked(recorded: RecordedEvent, error: Exception) -> ParkedEvent:
    reason = f"{type(error).__name__}: {error}"
    return ParkedEvent(recorded.position, recorded.stream, recorded.type, reason)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: a batch makes 100,000 objects and no cycle; counting frees them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stop():
        time.sleep(0.05)
