"""What the effect worker knows of sagas that are not over, and what it keeps between two starts."""

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application import codec
from application.ports.event_store import RecordedEvent
from application.sagas import engine, refund
from application.sagas.open_sagas import OpenSagas
from application.sagas.outcome import CallOutcome, OutcomeKind
from application.sagas.timers import Timers
from domain.saga.saga import evolve
from domain.saga.state import Saga, Status
from infrastructure.sagas.checkpoint import CheckpointFile

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
DATA = {
    "refund_id": ID,
    "order_reference": "A-1",
    "amount_minor": 1,
    "currency": "CNY",
    "conversation_id": "c-1",
    "lines": "[]",
}
DONE = CallOutcome(OutcomeKind.SUCCEEDED, "ref")
NO = CallOutcome(OutcomeKind.DECLINED, code="no")


def history(*outcomes: CallOutcome) -> list[RecordedEvent]:
    """A saga's stream, told these outcomes one after the other."""
    definition, state, events = refund.definition_v1(), Saga(ID), list[Any]()

    def told(new: tuple[Any, ...]) -> None:
        nonlocal state
        state = reduce(evolve, new, state)
        events.extend(new)

    told(engine.start(definition, state, DATA, "c-1", 1_000))
    for outcome in outcomes:
        key = state.pending.key if state.pending else f"refund-{ID}-payment-1"
        told(engine.record(definition, state, key, None, outcome, 2_000))
    encoded = [codec.encode(event, b"{}") for event in events]
    return [
        RecordedEvent(10 + n, f"saga-{ID}", n, one.type, 1_000 + n, b"{}", one.payload)
        for n, one in enumerate(encoded)
    ]


def folded(events: list[RecordedEvent]) -> OpenSagas:
    found = OpenSagas()
    for event in events:
        assert found.apply(event) == ID
    return found


def test_a_saga_is_known_from_its_first_event_to_its_last() -> None:
    assert folded(history(DONE)).all[ID].started_us == 1_000
    assert folded(history(DONE, DONE, DONE, DONE)).all == {}


def test_an_event_that_was_folded_changes_nothing_when_it_comes_again() -> None:
    events = history(DONE, DONE)
    found = folded(events)
    before = found.all[ID]
    for event in events[1:]:
        found.apply(event)
    assert found.all[ID] == before


def test_a_saga_that_was_over_is_read_again_when_something_happens_to_it() -> None:
    events = history(DONE, DONE, DONE, DONE, NO)
    over = next(n for n, event in enumerate(events) if event.type.startswith("saga.finished"))
    found = folded(events[: over + 1])
    assert found.apply(events[over + 1]) is None
    found.reopen(ID, events)
    assert found.all[ID].state.status is Status.PARKED


@pytest.fixture
def file(tmp_path: Path) -> Iterator[CheckpointFile]:
    return CheckpointFile(tmp_path / "sagas" / "open.json", "log-1")


def test_a_checkpoint_gives_back_what_was_saved(file: CheckpointFile) -> None:
    assert file.load() is None
    found = folded(history(DONE))
    found.position = 77
    file.save(found.checkpoint())
    again = OpenSagas()
    loaded = file.load()
    assert loaded is not None
    again.restore(loaded)
    assert (again.position, again.all) == (77, found.all)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"log_id":"log-1","checkpoint":{}}'])
def test_a_damaged_checkpoint_is_passed_over(
    file: CheckpointFile, tmp_path: Path, damage: bytes
) -> None:
    file.save(OpenSagas().checkpoint())
    (tmp_path / "sagas" / "open.json").write_bytes(damage)
    assert file.load() is None


def test_a_checkpoint_of_another_log_or_format_is_passed_over(
    file: CheckpointFile, tmp_path: Path
) -> None:
    checkpoint = folded(history(DONE)).checkpoint()
    file.save(checkpoint)
    assert CheckpointFile(tmp_path / "sagas" / "open.json", "log-2").load() is None
    file.save(msgspec.structs.replace(checkpoint, format=checkpoint.format + 1))
    assert file.load() is None


def test_timers_that_are_not_set_any_more_are_passed_over() -> None:
    found = folded(history(DONE))
    timer = found.all[ID].state.timer
    assert timer is not None
    timers = Timers(found)
    timers.set(5, "of another time", ID)
    timers.set(5, timer.id, "of a saga that is over")
    timers.set(6, timer.id, ID)
    assert timers.next_us() == 5
    assert timers.due(5) == []
    assert timers.due(6) == [(ID, timer.id)]
    assert timers.due(6) == []


def test_timers_of_calls_that_went_well_are_forgotten_in_time() -> None:
    found = folded(history(DONE))
    timer = found.all[ID].state.timer
    assert timer is not None
    timers = Timers(found)
    for n in range(20_000):
        timers.set(timer.at_us, f"old-{n}", ID)
    timers.set(timer.at_us, timer.id, ID)
    assert timers.due(0) == []
    assert timers.due(timer.at_us) == [(ID, timer.id)]
    assert timers.next_us() is None
