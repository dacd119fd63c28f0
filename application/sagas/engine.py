"""What a saga does next: pure functions from its state and one input to events.

A duplicate, a late or a stale input gives no events. Nothing here calls anybody: an intended call
is an event, and the effect worker (`application.sagas.worker`) makes it when it is on disk.

Source: the failure matrix of shared/knowledge/sagas.md; ADR 20.
"""

from functools import reduce

import msgspec

from application.sagas import timing
from application.sagas.definition import Data, Definition, Step, StepKind
from application.sagas.keys import key_of
from application.sagas.late import Events, late, success
from application.sagas.outcome import CallOutcome, OutcomeKind
from domain.saga.events import (
    CallAccepted,
    CallDeclined,
    CallIntended,
    CallNotExecuted,
    CompensationStarted,
    Direction,
    OperatorAction,
    OutcomeUnknown,
    ParkReason,
    SagaEvent,
    SagaFinished,
    SagaOutcome,
    SagaParked,
    SagaStarted,
    StepGivenUp,
    StepOverdue,
    TimerFired,
)
from domain.saga.saga import evolve
from domain.saga.state import PendingCall, Phase, Result, Saga

_encode = msgspec.json.Encoder(order="sorted").encode


def start(
    definition: Definition, saga: Saga, data: Data, conversation_id: str | None, now_us: int
) -> Events:
    """Begin; a saga that has begun begins no second time."""
    if saga.definition is not None:
        return ()
    started = SagaStarted(definition.name, definition.version, conversation_id, dict(data))
    return _and_on(definition, saga, (started,), now_us)


def record(
    definition: Definition,
    saga: Saga,
    key: str,
    attempt: int | None,
    outcome: CallOutcome,
    now_us: int,
) -> Events:
    """Take what a call came to.

    Args:
        attempt: The attempt that it answers, from 1; 0: the answer to a question; None: a callback.
    """
    pending = saga.pending
    if pending is None or pending.key != key:
        return late(definition, saga, key, outcome)
    step = definition.step(pending.step)
    match outcome.kind:
        case OutcomeKind.SUCCEEDED:
            return _and_on(definition, saga, (success(key, outcome),), now_us)
        case OutcomeKind.DECLINED:
            declined = CallDeclined(key, outcome.code, outcome.detail, outcome.at_us)
            after = _fold(saga, (declined,))
            return (declined, *_declined(definition, after, key, outcome.code, now_us))
        case OutcomeKind.ACCEPTED:
            return _accepted(step, saga, pending, outcome, now_us, callback=attempt is None)
    if (
        attempt is None
        or saga.parked is not None
        or pending.phase not in (Phase.READY, Phase.ASKING)
    ):
        return ()  # a straggler: what is known says more
    if attempt not in (0, pending.attempts + 1):
        return ()  # of an attempt that was counted
    return _no_answer(definition, step, saga, pending, outcome, now_us)


def fire(definition: Definition, saga: Saga, timer_id: str, now_us: int) -> Events:
    """A timer's time has come; one that is not set any more, or not due yet, gives nothing."""
    timer = saga.timer
    if timer is None or timer.id != timer_id or now_us < timer.at_us:
        return ()
    pending = saga.pending
    assert pending is not None
    expired = now_us >= pending.deadline_us
    fired = TimerFired(timer_id, expired)
    if not expired:
        return (fired,)
    after = _fold(saga, (fired,))
    return (fired, *_exhausted(definition, after, "deadline-exceeded", now_us))


def advance(definition: Definition, saga: Saga, now_us: int) -> Events:
    """The next call, or the end; nothing while something is awaited."""
    if saga.parked is not None or saga.outcome is not None or saga.pending is not None:
        return ()
    if not saga.compensating:
        settled = any(s.name in saga.done for s in definition.steps if s.kind is StepKind.PIVOT)
        for step in definition.steps:
            if settled and step.kind is StepKind.COMPENSATABLE:
                continue  # behind it, done or not: a person may have said that it is settled
            if step.name not in saga.done and step.name not in saga.given_up:
                return (intend(definition, saga, step, Direction.FORWARD, now_us),)
        return (SagaFinished(SagaOutcome.COMPLETED, saga.given_up),)
    for name in reversed(saga.to_undo):
        step = definition.step(name)
        if step.undo is not None:
            return (intend(definition, saga, step, Direction.BACKWARD, now_us),)
    for step in definition.after_failure:
        if step.name not in saga.done and step.name not in saga.given_up:
            return (intend(definition, saga, step, Direction.FORWARD, now_us),)
    return (SagaFinished(SagaOutcome.COMPENSATED, (*saga.given_up, *saga.undo_given_up)),)


def intend(
    definition: Definition, saga: Saga, step: Step, direction: Direction, now_us: int
) -> CallIntended:
    """The step's next attempt group, or the same one again where its outcome is not definite."""
    last = saga.last_call(step.name, direction)
    group = 1
    if last is not None:
        over = last.result in (Result.DECLINED, Result.REVERSED)
        group = last.group + (1 if over else 0)
    assert saga.definition is not None
    body = dict(step.body(saga.data))
    operation, deadline_s = step.operation, step.policy.deadline_s
    if direction is Direction.BACKWARD:
        assert step.undo is not None
        forward = saga.last_call(step.name, Direction.FORWARD)
        of = forward.group if forward is not None else 1
        body["action_key"] = key_of(definition.name, saga.id, step.name, of, Direction.FORWARD)
        operation, deadline_s = step.undo, step.undo_deadline_s
    key = key_of(definition.name, saga.id, step.name, group, direction)
    deadline_us = now_us + timing.us(deadline_s)
    encoded = _encode(body).decode()
    return CallIntended(step.name, direction, operation, key, group, encoded, deadline_us)


def compensate(definition: Definition, saga: Saga, step: str, reason: str, now_us: int) -> Events:
    """Undo what was done, from here on."""
    return _and_on(definition, saga, (CompensationStarted(step, reason),), now_us)


def _accepted(
    step: Step,
    saga: Saga,
    pending: PendingCall,
    outcome: CallOutcome,
    now_us: int,
    *,
    callback: bool,
) -> Events:
    if pending.accepted and (callback or pending.phase is not Phase.ASKING):
        return ()  # it says what is known
    if pending.accepted and saga.parked is not None:
        return ()
    count = pending.facts + 1
    next_at_us = now_us + timing.delay_us(step.policy, pending.key, count, None)
    deadline_us = pending.deadline_us
    if not pending.accepted:
        deadline_us = now_us + timing.us(step.policy.settlement_s)
    return (CallAccepted(pending.key, outcome.reference, next_at_us, deadline_us),)


def _no_answer(
    definition: Definition,
    step: Step,
    saga: Saga,
    pending: PendingCall,
    outcome: CallOutcome,
    now_us: int,
) -> Events:
    """An attempt without a definite outcome: again later, unless it was the last one."""
    attempt = pending.attempts + 1
    delay = timing.delay_us(step.policy, pending.key, attempt, outcome.retry_after_s)
    next_at_us = now_us + delay
    fact: SagaEvent
    # An accepted call whose participant can't be asked just now is accepted still.
    unknown = outcome.kind is OutcomeKind.UNKNOWN or (
        pending.phase is Phase.ASKING and outcome.kind is OutcomeKind.NOT_EXECUTED
    )
    if unknown:
        fact = OutcomeUnknown(pending.key, attempt, outcome.code, outcome.detail, next_at_us)
    else:
        code = outcome.code or outcome.kind.value
        fact = CallNotExecuted(pending.key, attempt, code, outcome.detail, next_at_us)
    last = step.policy.max_attempts is not None and attempt >= step.policy.max_attempts
    if not last:
        return (fact,)
    code = outcome.code or "attempts-exhausted"
    return (fact, *_exhausted(definition, _fold(saga, (fact,)), code, now_us))


def _exhausted(definition: Definition, saga: Saga, code: str, now_us: int) -> Events:
    """The pending call's time or attempts are used up."""
    pending = saga.pending
    assert pending is not None
    step = definition.step(pending.step)
    if pending.direction is Direction.BACKWARD:
        actions = (OperatorAction.RETRY, OperatorAction.SKIP)
        return (SagaParked(ParkReason.COMPENSATION_FAILED, pending.key, code, actions),)
    match step.kind:
        case StepKind.COMPENSATABLE:
            return compensate(definition, saga, step.name, code, now_us)
        case StepKind.PIVOT:
            return (_park_pivot(saga, pending, code),)
        case StepKind.RETRIABLE:
            later = max(pending.deadline_us, now_us) + timing.us(step.policy.deadline_s)
            return (StepOverdue(step.name, later),)
        case StepKind.BEST_EFFORT:
            given_up = StepGivenUp(step.name, pending.direction, code)
            return _and_on(definition, saga, (given_up,), now_us)


def _park_pivot(saga: Saga, pending: PendingCall, code: str) -> SagaParked:
    retry, settled = OperatorAction.RETRY, OperatorAction.MARK_SETTLED
    if pending.accepted:
        return SagaParked(ParkReason.SETTLEMENT_OVERDUE, pending.key, code, (retry, settled))
    if pending.maybe_executed or pending.phase in (Phase.READY, Phase.ASKING):
        # READY: a call may be under way at this moment.
        return SagaParked(ParkReason.OUTCOME_UNKNOWN, pending.key, code, (retry, settled))
    actions = (retry, OperatorAction.FORCE_COMPENSATE, settled)
    return SagaParked(ParkReason.UNAVAILABLE, pending.key, code, actions)


def _declined(definition: Definition, saga: Saga, key: str, code: str, now_us: int) -> Events:
    """A participant said no for good."""
    call = saga.calls[key]
    step = definition.step(call.step)
    if saga.parked is not None:
        return ()  # about another call, which a person looks at
    if call.direction is Direction.BACKWARD:
        actions = (OperatorAction.RETRY, OperatorAction.SKIP)
        return (SagaParked(ParkReason.COMPENSATION_FAILED, key, code, actions),)
    match step.kind:
        case StepKind.COMPENSATABLE | StepKind.PIVOT:
            return compensate(definition, saga, step.name, code, now_us)
        case StepKind.RETRIABLE:
            actions = (OperatorAction.RETRY, OperatorAction.SKIP)
            return (SagaParked(ParkReason.DECLINED, key, code, actions),)
        case StepKind.BEST_EFFORT:
            given_up = StepGivenUp(step.name, call.direction, code)
            return _and_on(definition, saga, (given_up,), now_us)


def _and_on(definition: Definition, saga: Saga, events: Events, now_us: int) -> Events:
    return (*events, *advance(definition, _fold(saga, events), now_us))


def _fold(saga: Saga, events: Events) -> Saga:
    return reduce(evolve, events, saga)
