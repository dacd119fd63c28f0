"""How far a saga is, step by step: what a person looks at. Pure; from its definition and events."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from application.sagas.definition import Definition, Step, StepKind
from domain.saga.events import (
    CallAccepted,
    CallDeclined,
    CallNotExecuted,
    CallSucceeded,
    Direction,
    OperatorActed,
    OperatorAction,
    OutcomeUnknown,
    SagaEvent,
    SagaOutcome,
    StepGivenUp,
)
from domain.saga.state import KnownCall, Result, Saga


class StepState(StrEnum):
    TODO = "todo"
    RUNNING = "running"
    """Its call, or its compensation, has no definite outcome yet."""
    DONE = "done"
    FAILED = "failed"
    """The participant said no for good, took it back, or it was abandoned."""
    UNDONE = "undone"
    GIVEN_UP = "given-up"
    SKIPPED = "skipped"
    """By a person, or because a person said that a later step is done."""


class StepProgress(msgspec.Struct, frozen=True):
    """One step of one saga."""

    name: str
    kind: StepKind
    state: StepState
    key: str | None
    """Of its latest call, which may be its compensation."""
    reference: str | None
    """The participant's own id of it."""
    attempts: int
    """Calls and questions about this key that were answered, or were not in time."""


def progress(
    definition: Definition, saga: Saga, events: Iterable[SagaEvent]
) -> tuple[StepProgress, ...]:
    """Every step in order; those that follow a failure where there was one.

    Args:
        saga: What the events fold to.
    """
    attempts, skipped = _told(events)
    steps = list(definition.steps)
    called = {call.step for call in saga.calls.values()}
    steps += [s for s in definition.after_failure if saga.compensating or s.name in called]
    return tuple(_step(saga, step, attempts, step.name in skipped) for step in steps)


def current_step(saga: Saga) -> str | None:
    """The step that the saga waits for, or that a person is asked about; None: it is over."""
    if saga.pending is not None:
        return saga.pending.step
    if saga.parked is not None:
        call = saga.calls.get(saga.parked.key)
        return None if call is None else call.step
    return None


def _step(saga: Saga, step: Step, attempts: Mapping[str, int], skipped: bool) -> StepProgress:
    key, call = _latest(saga, step.name)
    pending = saga.pending
    reference = None if call is None else call.reference
    if pending is not None and pending.step == step.name:
        key, reference = pending.key, pending.reference
    state = _state(saga, step, call, skipped)
    return StepProgress(step.name, step.kind, state, key, reference, attempts.get(key or "", 0))


def _state(saga: Saga, step: Step, call: KnownCall | None, skipped: bool) -> StepState:
    name, pending = step.name, saga.pending
    if pending is not None and pending.step == name:
        return StepState.RUNNING
    if skipped:
        return StepState.SKIPPED
    if name in saga.given_up or name in saga.undo_given_up:
        return StepState.GIVEN_UP
    if name in saga.done:
        return StepState.DONE
    if call is None:
        passed = saga.outcome is SagaOutcome.COMPLETED
        return StepState.SKIPPED if passed else StepState.TODO
    if call.direction is Direction.BACKWARD:
        return StepState.UNDONE if call.result is Result.SUCCEEDED else StepState.FAILED
    return StepState.FAILED


def _latest(saga: Saga, step: str) -> tuple[str | None, KnownCall | None]:
    """Its compensation, else its last attempt group."""
    found = [(key, call) for key, call in saga.calls.items() if call.step == step]
    order: Final = {Direction.FORWARD: 0, Direction.BACKWARD: 1}
    best = max(found, key=lambda one: (order[one[1].direction], one[1].group), default=None)
    return (None, None) if best is None else best


def _told(events: Iterable[SagaEvent]) -> tuple[dict[str, int], set[str]]:
    """Attempts by key, and the steps that a person has skipped."""
    attempts: dict[str, int] = {}
    accepted: set[str] = set()
    skipped: set[str] = set()
    acted: OperatorAction | None = None
    for event in events:
        match event:
            case CallNotExecuted(key=key) | OutcomeUnknown(key=key):
                attempts[key] = attempts.get(key, 0) + 1
            case CallAccepted(key=key):
                attempts[key] = attempts.get(key, 0) + (key not in accepted)
                accepted.add(key)
            case CallSucceeded(key=key) | CallDeclined(key=key):
                answered = key not in accepted and acted is None
                attempts[key] = attempts.get(key, 0) + answered
            case StepGivenUp(step=step) if acted is OperatorAction.SKIP:
                skipped.add(step)
        acted = event.action if isinstance(event, OperatorActed) else None
    return attempts, skipped
