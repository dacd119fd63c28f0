"""What a person decides about a parked saga. Pure, as the engine."""

from application.sagas import timing
from application.sagas.definition import Definition
from application.sagas.engine import advance, compensate, intend
from application.sagas.late import Events
from domain.errors import InvalidInput, SagaActionRefused, SagaNotParked
from domain.saga.events import (
    CallIntended,
    CallSucceeded,
    Direction,
    OperatorActed,
    OperatorAction,
    ParkReason,
    SagaEvent,
    StepGivenUp,
)
from domain.saga.saga import evolve
from domain.saga.state import Parked, Saga
from domain.text import MAX_REASON_CHARS, clean_line


def operate(
    definition: Definition,
    saga: Saga,
    action: OperatorAction,
    reason: str,
    reference: str | None,
    now_us: int,
) -> Events:
    """Carry out a person's decision.

    Args:
        reason: Why, 1 to 1,000 characters on one line, nothing personal.
        reference: With `mark-settled`, the participant's id of what it did.

    Raises:
        SagaNotParked: it goes on by itself.
        SagaActionRefused: this could pay twice, or undo what may have happened.
        InvalidInput: a reason or the reference is missing.
    """
    parked = saga.parked
    if parked is None:
        raise SagaNotParked(saga.id)
    if action not in parked.next_actions:
        raise SagaActionRefused(action.value, parked.reason.value, list(parked.next_actions))
    reason = clean_line(reason, "reason", MAX_REASON_CHARS)
    if action is not OperatorAction.MARK_SETTLED:
        reference = None
    elif reference is None:
        raise InvalidInput("mark-settled needs the provider's reference.", "reference")
    else:
        reference = clean_line(reference, "reference")
    acted = OperatorActed(action, reason, reference)
    after = evolve(saga, acted)
    match action:
        case OperatorAction.RETRY:
            return (acted, _again(definition, after, parked, now_us))
        case OperatorAction.SKIP if parked.reason is ParkReason.CONTRADICTED:
            return (acted, *advance(definition, after, now_us))  # it is not so, says a person
        case OperatorAction.SKIP:
            step, direction = _about(saga, parked)
            skipped = StepGivenUp(step, direction, f"skipped: {parked.reason.value}")
            return _and_on(definition, after, (acted,), skipped, now_us)
        case OperatorAction.FORCE_COMPENSATE:
            step, _ = _about(saga, parked)
            return (acted, *compensate(definition, after, step, parked.reason.value, now_us))
        case OperatorAction.MARK_SETTLED:
            assert reference is not None
            settled = CallSucceeded(parked.key, reference, None)
            return _and_on(definition, after, (acted,), settled, now_us)


def _again(definition: Definition, saga: Saga, parked: Parked, now_us: int) -> CallIntended:
    """The same key while the outcome is open; a new attempt group after a definite no."""
    pending = saga.pending
    if pending is not None and pending.key == parked.key:
        about = definition.step(pending.step)
        backward = pending.direction is Direction.BACKWARD
        deadline_s = about.undo_deadline_s if backward else about.policy.deadline_s
        return CallIntended(
            pending.step,
            pending.direction,
            pending.operation,
            pending.key,
            pending.group,
            pending.body,
            now_us + timing.us(deadline_s),
        )
    step, direction = _about(saga, parked)
    return intend(definition, saga, definition.step(step), direction, now_us)


def _about(saga: Saga, parked: Parked) -> tuple[str, Direction]:
    pending = saga.pending
    if pending is not None and pending.key == parked.key:
        return pending.step, pending.direction
    call = saga.calls[parked.key]
    return call.step, call.direction


def _and_on(
    definition: Definition, after: Saga, acted: Events, event: SagaEvent, now_us: int
) -> Events:
    return (*acted, event, *advance(definition, evolve(after, event), now_us))
