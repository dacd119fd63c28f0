"""What one command reads and wants to write, before any of it is written."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from application import codec
from application.commands.state_cache import CachedState, StateCache
from application.ports.event_store import EventStore, StreamAppend
from domain.events import Decider, Event

S = TypeVar("S")


class StagedStream(NamedTuple):
    """New events of one aggregate, with its state before and after."""

    decider: Decider[Any]
    id: str
    expected_version: int
    events: Sequence[Event]
    state: Any


class UnitOfWork:
    """Loads states and stages events for one command.

    A command that raises leaves no trace: states go into the cache only by `commit_to_cache`.
    """

    __slots__ = ("_absent", "_answer_stream", "_cache", "_store", "now_us", "staged")

    def __init__(self, store: EventStore, cache: StateCache, now_us: int) -> None:
        self._store = store
        self._cache = cache
        self.now_us = now_us
        """The command's time, microseconds since 1970 UTC."""
        self.staged: list[StagedStream] = []
        self._answer_stream: str | None = None
        self._absent: dict[tuple[str, str], CachedState] = {}
        """Aggregates that this command looked for and that do not exist: a message's stream is
        new with nearly every command, and each look-up of it would go to the index."""

    def load(self, decider: Decider[S], id: str) -> S:
        """State of an aggregate, with what this and earlier commands have staged for it."""
        for staged in reversed(self.staged):
            if staged.id == id and staged.decider is decider:
                state: S = staged.state
                return state
        return self._load(decider, id).state  # type: ignore[no-any-return]  # the cache holds any state

    def stage(self, decider: Decider[S], id: str, events: Sequence[Event]) -> None:
        """Add events to what the command will append; none: nothing to do."""
        if not events:
            return
        version, state = self._current(decider, id)
        for event in events:
            state = decider.evolve(state, event)
        self.staged.append(StagedStream(decider, id, version, events, state))

    def answer_with_position_of(self, stream: str) -> None:
        """The command repeats an earlier one: its receipt has that one's position."""
        self._answer_stream = stream

    @property
    def answer_stream(self) -> str | None:
        """Stream whose first event's position is the receipt's; None: what was appended."""
        return self._answer_stream

    def appends(self, metadata: bytes) -> list[StreamAppend]:
        """The staged events, encoded."""
        return [
            StreamAppend(
                f"{decider.category}-{id}",
                version,
                [codec.encode(event, metadata) for event in events],
            )
            for decider, id, version, events, _ in self.staged
        ]

    def commit_to_cache(self) -> None:
        """Let later commands see the new states; they are on their way to the disk."""
        for decider, id, version, events, state in self.staged:
            entry = CachedState(version + len(events), state)
            self._cache.put(decider.category, id, entry)

    def _current(self, decider: Decider[Any], id: str) -> CachedState:
        for staged in reversed(self.staged):
            if staged.id == id and staged.decider is decider:
                version = staged.expected_version + len(staged.events)
                return CachedState(version, staged.state)
        return self._load(decider, id)

    def _load(self, decider: Decider[Any], id: str) -> CachedState:
        cached = self._cache.get(decider.category, id)
        if cached is not None:
            return cached
        absent = self._absent.get((decider.category, id))
        if absent is not None:
            return absent
        state = decider.initial(id)
        version = -1
        for recorded in self._store.read_stream(decider.stream(id)):
            state = decider.evolve(state, codec.decode(recorded.type, recorded.payload))
            version = recorded.version
        entry = CachedState(version, state)
        if version >= 0:
            # What does not exist is not cached: unknown ids must not push out real states.
            self._cache.put(decider.category, id, entry)
        else:
            self._absent[decider.category, id] = entry
        return entry
