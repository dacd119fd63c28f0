"""The sagas that are not over, folded from the log; what the effect worker works on.

Everything here can be made anew from the log; a checkpoint only spares reading it from its
beginning. Memory: some 2 KB for each saga that is not over.
"""

from collections.abc import Iterable
from typing import Final, cast

import msgspec

from application import codec
from application.ports.event_store import RecordedEvent
from domain.saga.events import SagaEvent, SagaStarted
from domain.saga.saga import evolve
from domain.saga.state import TERMINAL, Saga

CATEGORY: Final = "saga"
_PREFIX: Final = "saga-"
FORMAT: Final = 1
"""Of the checkpoint; another one is not read."""


class OpenSaga(msgspec.Struct, frozen=True):
    """A saga with when it began and when it last changed, microseconds since 1970 UTC."""

    state: Saga
    version: int
    started_us: int
    updated_us: int


class Checkpoint(msgspec.Struct, frozen=True):
    """All open sagas as they were at a position."""

    format: int
    position: int
    sagas: tuple[OpenSaga, ...]


class OpenSagas:
    """Folds saga events in the order of the log."""

    def __init__(self) -> None:
        self.position = 0
        """Events up to here are folded."""
        self.all: dict[str, OpenSaga] = {}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Begin at a checkpoint."""
        self.position = checkpoint.position
        self.all = {one.state.id: one for one in checkpoint.sagas}

    def checkpoint(self) -> Checkpoint:
        """What `restore` takes."""
        return Checkpoint(FORMAT, self.position, tuple(self.all.values()))

    def apply(self, recorded: RecordedEvent) -> str | None:
        """Fold one event of a saga's stream.

        Returns:
            The saga's id. None: it was over, and something new has happened; read its whole stream
            and give it to `reopen`.
        """
        id = recorded.stream.removeprefix(_PREFIX)
        event = cast("SagaEvent", codec.decode(recorded.type, recorded.payload))
        before = self.all.get(id)
        if before is None:
            if not isinstance(event, SagaStarted):
                return None
            before = OpenSaga(Saga(id), -1, recorded.recorded_us, recorded.recorded_us)
        if recorded.version > before.version:
            self._keep(before, evolve(before.state, event), recorded)
        return id

    def reopen(self, id: str, stream: Iterable[RecordedEvent]) -> None:
        """Fold a saga from its first event."""
        self.all.pop(id, None)
        for recorded in stream:
            event = cast("SagaEvent", codec.decode(recorded.type, recorded.payload))
            before = self.all.get(id) or OpenSaga(
                Saga(id), -1, recorded.recorded_us, recorded.recorded_us
            )
            self.all[id] = _after(before, evolve(before.state, event), recorded)
        if id in self.all and self.all[id].state.status in TERMINAL:
            del self.all[id]

    def _keep(self, before: OpenSaga, state: Saga, recorded: RecordedEvent) -> None:
        if state.status in TERMINAL:
            self.all.pop(state.id, None)
        else:
            self.all[state.id] = _after(before, state, recorded)


def _after(before: OpenSaga, state: Saga, recorded: RecordedEvent) -> OpenSaga:
    return OpenSaga(state, recorded.version, before.started_us, recorded.recorded_us)
