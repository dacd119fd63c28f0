"""Outcomes of calls that are over: duplicates say nothing; some change everything."""

from typing import Final

from application.sagas.definition import Definition, StepKind
from application.sagas.outcome import CallOutcome, OutcomeKind
from domain.saga.events import (
    CallReversed,
    CallSucceeded,
    Direction,
    OperatorAction,
    ParkReason,
    SagaEvent,
    SagaParked,
)
from domain.saga.state import KnownCall, Result, Saga

Events = tuple[SagaEvent, ...]
_REVERSED: Final = (
    OperatorAction.RETRY,
    OperatorAction.FORCE_COMPENSATE,
    OperatorAction.MARK_SETTLED,
)
_CONTRADICTED: Final = (OperatorAction.MARK_SETTLED, OperatorAction.SKIP)


def late(definition: Definition, saga: Saga, key: str, outcome: CallOutcome) -> Events:
    """About a call that is over, or that was never intended."""
    call = saga.calls.get(key)
    if call is None or _is_older(outcome, call):
        return ()
    failed = outcome.kind is OutcomeKind.DECLINED
    if failed and call.result is Result.SUCCEEDED and call.direction is Direction.FORWARD:
        step = definition.step(call.step)
        if step.kind is not StepKind.PIVOT or saga.compensating:
            return ()
        reverse = CallReversed(key, outcome.code, outcome.detail, outcome.at_us)
        return (reverse, SagaParked(ParkReason.REVERSED, key, outcome.code, _REVERSED))
    if outcome.kind is not OutcomeKind.SUCCEEDED or call.result is Result.SUCCEEDED:
        return ()
    if call.direction is Direction.BACKWARD or call.step in saga.done:
        return ()
    if call.result is Result.REVERSED:
        return ()  # a repeat of what was known before it was taken back
    if definition.step(call.step).kind is StepKind.PIVOT:
        # Money has moved that was reported as refused: a person must know, whatever else goes on.
        detail = f"{key} was {call.result.value}, and is reported as done: {outcome.reference}"
        return (SagaParked(ParkReason.CONTRADICTED, key, detail, _CONTRADICTED),)
    if saga.compensating or call.result is not Result.ABANDONED:
        return ()  # it is undone, or its compensation blocks it
    return (success(key, outcome),)


def _is_older(outcome: CallOutcome, call: KnownCall) -> bool:
    """Callbacks overtake each other: what the participant said before is no news."""
    return outcome.at_us is not None and call.at_us is not None and outcome.at_us < call.at_us


def success(key: str, outcome: CallOutcome) -> CallSucceeded:
    """The event of a call that took effect."""
    return CallSucceeded(key, outcome.reference, outcome.at_us)
