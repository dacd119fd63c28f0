"""Read model `sagas`: each row holds the state that the saga's events fold to."""

from typing import cast

from application.codec import Envelope
from application.projections.records import Changes, Keys, Records, SagaRecord
from domain.saga.events import SagaEvent, SagaStarted
from domain.saga.saga import evolve
from domain.saga.state import Saga

CATEGORY = "saga"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change."""
    found.sagas.add(_id(envelope))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row; raises KeyError for an event of a saga that was never started."""
    id, now_us = _id(envelope), envelope.recorded_us
    event = cast(SagaEvent, envelope.event)
    if isinstance(event, SagaStarted):
        row = SagaRecord(Saga(id), now_us, now_us)
    else:
        row = changes.records.sagas.get(id) or before.sagas[id]
    # A row is replaced, not changed: an event that does not fit leaves it as it was.
    changes.records.sagas[id] = SagaRecord(evolve(row.state, event), row.started_us, now_us)


def _id(envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]
