"""What one command reads and wants to write, before any of it is written."""

from collections.abc import Container, Sequence
from typing import Any, Final, TypeVar

import msgspec

from application import codec
from application.commands.state_cache import CachedState, StateCache
from application.ports.event_store import EventStore, NewEvent, StreamAppend
from application.sagas.all import definitions as all_definitions
from application.sagas.definition import Definitions
from application.sealing import IN_CLEAR, Opener, Sealer
from domain.events import Decider, Event

S = TypeVar("S")
SAGAS: Final = all_definitions()


class StagedStream(msgspec.Struct, frozen=True, gc=False):
    """New events of one aggregate."""

    decider: Decider[Any]
    id: str
    expected_version: int
    events: Sequence[Event]
    subject: str | None = None
    """The contact of whom personal fields of the events tell."""


class Erasure(msgspec.Struct, frozen=True):
    """A contact whose key is to be destroyed when the events are on disk."""

    subject_id: str
    conversation_ids: frozenset[str]


class UnitOfWork:
    """Loads states and stages events for one command.

    A command that raises leaves no trace: states go into the cache only by `commit_to_cache`.
    """

    __slots__ = (
        "_absent",
        "_answer_stream",
        "_cache",
        "_opener",
        "_states",
        "_store",
        "definitions",
        "erasure",
        "now_us",
        "sealer",
        "staged",
        "subject",
    )

    def __init__(
        self,
        store: EventStore,
        cache: StateCache,
        now_us: int,
        absent: Container[str] = frozenset(),
        opener: Opener = IN_CLEAR,
        sealer: Sealer | None = None,
        definitions: Definitions = SAGAS,
    ) -> None:
        """Streams in `absent` are known not to be in the store. Without a sealer personal fields
        are written in clear.
        """
        self._absent = absent
        self._opener = opener
        self.sealer = sealer
        self.definitions = definitions
        """Of sagas, in all their versions."""
        self.subject: str | None = None
        """The contact that the command concerns, as far as it is known."""
        self.erasure: Erasure | None = None
        self._store = store
        self._cache = cache
        self.now_us = now_us
        """The command's time, microseconds since 1970 UTC."""
        self.staged: list[StagedStream] = []
        self._answer_stream: str | None = None
        self._states: dict[tuple[str, str], CachedState] = {}
        """What this command has seen or staged, also what does not exist: a message's stream is
        new with nearly every command, and each look-up of it would go to the index."""

    def load(self, decider: Decider[S], id: str) -> S:
        """State of an aggregate, with what this and earlier commands have staged for it."""
        return self._find(decider, id).state  # type: ignore[no-any-return]  # the cache holds any state

    def stage(
        self, decider: Decider[S], id: str, events: Sequence[Event], subject: str | None = None
    ) -> None:
        """Add events to what the command will append; none: nothing to do.

        Args:
            subject: The contact of whom they tell; needed where they have personal fields.
        """
        if not events:
            return
        if subject is not None:
            self.subject = subject
        found = self._find(decider, id)
        version, state = found.version, found.state
        evolve = decider.evolve
        for event in events:
            state = evolve(state, event)
        self.staged.append(StagedStream(decider, id, version, events, subject))
        self._states[decider.category, id] = CachedState(version + len(events), state)

    def answer_with_position_of(self, stream: str) -> None:
        """The command repeats an earlier one: its receipt has that one's position."""
        self._answer_stream = stream

    @property
    def answer_stream(self) -> str | None:
        """Stream whose first event's position is the receipt's; None: what was appended."""
        return self._answer_stream

    def appends(self, metadata: bytes) -> list[StreamAppend]:
        """The staged events, encoded.

        Raises:
            ValueError: an event has personal fields and was staged without its subject.
            ContactErased: the subject's key is destroyed.
            Unavailable: its key can't be read at the moment.
        """
        encode = self._encoded
        return [
            StreamAppend(
                stream := f"{one.decider.category}-{one.id}",
                one.expected_version,
                encode(one, metadata, stream),
            )
            for one in self.staged
        ]

    def _encoded(self, one: StagedStream, metadata: bytes, stream: str) -> list[NewEvent]:
        sealer = self.sealer
        if sealer is None:
            return [codec.encode(event, metadata) for event in one.events]
        first, subject = one.expected_version + 1, one.subject
        return [
            sealer.encode(event, metadata, stream, version, subject)
            for version, event in enumerate(one.events, first)
        ]

    def commit_to_cache(self) -> None:
        """Let later commands see the new states; they are on their way to the disk."""
        for one in self.staged:
            category = one.decider.category
            self._cache.put(category, one.id, self._states[category, one.id])

    def _find(self, decider: Decider[Any], id: str) -> CachedState:
        key = (decider.category, id)
        found = self._states.get(key)
        if found is None:
            found = self._cache.get(decider.category, id) or self._read(decider, id)
            self._states[key] = found
        return found

    def _read(self, decider: Decider[Any], id: str) -> CachedState:
        state = decider.initial(id)
        version = -1
        stream = decider.stream(id)
        if stream in self._absent:
            return CachedState(version, state)
        for recorded in self._store.read_stream(stream):
            state = decider.evolve(state, self._opener.decode(recorded))
            version = recorded.version
        entry = CachedState(version, state)
        if version >= 0:
            # What does not exist is not cached: unknown ids must not push out real states.
            self._cache.put(decider.category, id, entry)
        return entry
