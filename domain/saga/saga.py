"""Saga: the fold. What it does next is decided by `application.sagas.engine`.

The fold knows nothing of definitions, so that an auditor, a view and the worker read a saga of any
version alike.
"""

import msgspec

from domain.events import Decider
from domain.saga.events import (
    CallAccepted,
    CallDeclined,
    CallIntended,
    CallNotExecuted,
    CallReversed,
    CallSucceeded,
    CompensationStarted,
    Direction,
    OperatorActed,
    OperatorAction,
    OutcomeUnknown,
    SagaEvent,
    SagaFinished,
    SagaParked,
    SagaStarted,
    StepGivenUp,
    StepOverdue,
    TimerFired,
)
from domain.saga.state import KnownCall, Parked, PendingCall, Phase, Result, Saga

_replace = msgspec.structs.replace


def evolve(state: Saga, event: SagaEvent) -> Saga:
    """State after one more event."""
    match event:
        case SagaStarted():
            return _replace(
                state,
                definition=event.definition,
                definition_version=event.definition_version,
                conversation_id=event.conversation_id,
                data=event.data,
            )
        case CallIntended():
            return _intended(state, event)
        case CallNotExecuted() | OutcomeUnknown() | CallAccepted():
            return _unsettled(state, event)
        case CallSucceeded():
            return _succeeded(state, event)
        case CallDeclined(key=key, at_us=at_us):
            return _over(state, key, Result.DECLINED, None, at_us)
        case CallReversed():
            return _reversed(state, event)
        case TimerFired(expired=expired):
            return _fired(state, expired=expired)
        case StepOverdue(deadline_us=deadline_us):
            pending = _pending(state)
            later = _replace(pending, deadline_us=deadline_us, facts=pending.facts + 1)
            return _replace(state, pending=later, overdue=True)
        case StepGivenUp():
            return _given_up(state, event)
        case CompensationStarted(reason=reason):
            return _replace(_compensating(state), failure=reason)
        case SagaParked():
            parked = Parked(event.reason, event.key, event.detail, event.next_actions)
            return _replace(state, parked=parked)
        case OperatorActed(action=OperatorAction.MARK_SETTLED):
            # What was on its way to being undone has taken effect.
            return _replace(state, parked=None, compensating=False, to_undo=(), outcome=None)
        case OperatorActed():
            return _replace(state, parked=None)
        case SagaFinished(outcome=outcome):
            return _replace(state, outcome=outcome, pending=None, overdue=False)


DECIDER: Decider[Saga] = Decider("saga", Saga, evolve)


def _pending(state: Saga) -> PendingCall:
    assert state.pending is not None, "the engine writes no such event without a pending call"
    return state.pending


def _intended(state: Saga, event: CallIntended) -> Saga:
    before = state.pending
    calls = state.calls
    if before is not None and before.key != event.key:
        abandoned = KnownCall(
            before.step, before.direction, before.group, Result.ABANDONED, before.reference
        )
        calls = {**calls, before.key: abandoned}
    again = before if before is not None and before.key == event.key else None
    known = calls.get(event.key)
    maybe = known is not None or (
        again is not None and (again.maybe_executed or again.phase is Phase.READY)
    )
    pending = PendingCall(
        event.step,
        event.direction,
        event.operation,
        event.key,
        event.group,
        event.body,
        event.deadline_us,
        phase=Phase.ASKING if maybe else Phase.READY,
        facts=again.facts + 1 if again is not None else 0,
        maybe_executed=maybe,
        accepted=again is not None and again.accepted,
        reference=again.reference if again is not None else None,
    )
    return _replace(
        state,
        pending=pending,
        calls={key: call for key, call in calls.items() if key != event.key},
        parked=None,
        outcome=None,
        overdue=False,
    )


def _unsettled(state: Saga, event: CallNotExecuted | OutcomeUnknown | CallAccepted) -> Saga:
    pending = _pending(state)
    facts, next_at_us = pending.facts + 1, event.next_at_us
    match event:
        case CallNotExecuted(attempt=attempt):
            after = _replace(
                pending, phase=Phase.WAITING, facts=facts, next_at_us=next_at_us, attempts=attempt
            )
        case OutcomeUnknown(attempt=attempt):
            after = _replace(
                pending,
                phase=Phase.UNKNOWN,
                facts=facts,
                next_at_us=next_at_us,
                attempts=attempt,
                maybe_executed=True,
            )
        case CallAccepted():
            after = _replace(
                pending,
                phase=Phase.ACCEPTED,
                facts=facts,
                next_at_us=next_at_us,
                deadline_us=event.deadline_us,
                maybe_executed=True,
                accepted=True,
                reference=event.reference,
            )
    return _replace(state, pending=after)


def _over(
    state: Saga, key: str, result: Result, reference: str | None, at_us: int | None = None
) -> Saga:
    """The call has an outcome, whether it is the pending one or an earlier one."""
    pending = state.pending
    if pending is not None and pending.key == key:
        call = KnownCall(pending.step, pending.direction, pending.group, result, reference, at_us)
        pending = None
    else:
        call = _replace(state.calls[key], result=result, reference=reference, at_us=at_us)
    parked = state.parked
    if parked is not None and parked.key == key:
        parked = None
    calls = {**state.calls, key: call}
    overdue = state.overdue and pending is not None
    return _replace(state, pending=pending, calls=calls, parked=parked, overdue=overdue)


def _succeeded(state: Saga, event: CallSucceeded) -> Saga:
    after = _over(state, event.key, Result.SUCCEEDED, event.reference, event.at_us)
    call = after.calls[event.key]
    if call.direction is Direction.BACKWARD:
        return _replace(
            after,
            done=tuple(step for step in after.done if step != call.step),
            to_undo=tuple(step for step in after.to_undo if step != call.step),
        )
    if call.step in after.done:
        return after
    return _replace(after, done=(*after.done, call.step))


def _reversed(state: Saga, event: CallReversed) -> Saga:
    reference = state.calls[event.key].reference
    after = _over(state, event.key, Result.REVERSED, reference, event.at_us)
    step = after.calls[event.key].step
    done = tuple(one for one in after.done if one != step)
    return _replace(after, done=done, outcome=None)


def _fired(state: Saga, *, expired: bool) -> Saga:
    pending = _pending(state)
    after = _replace(pending, facts=pending.facts + 1)
    if not expired:
        phase = Phase.READY if pending.phase is Phase.WAITING else Phase.ASKING
        after = _replace(after, phase=phase, next_at_us=None)
    return _replace(state, pending=after)


def _given_up(state: Saga, event: StepGivenUp) -> Saga:
    pending = state.pending
    if pending is not None and pending.step == event.step:
        state = _over(state, pending.key, Result.ABANDONED, pending.reference)
    if event.direction is Direction.BACKWARD:
        return _replace(
            state,
            to_undo=tuple(step for step in state.to_undo if step != event.step),
            undo_given_up=(*state.undo_given_up, event.step),
            parked=None,
        )
    return _replace(state, given_up=(*state.given_up, event.step), parked=None)


def _compensating(state: Saga) -> Saga:
    # Also what another call took the place of before its outcome was known.
    abandoned = (
        call.step
        for call in state.calls.values()
        if call.result is Result.ABANDONED and call.direction is Direction.FORWARD
    )
    to_undo = (*state.done, *(step for step in abandoned if step not in state.done))
    pending = state.pending
    if pending is not None:
        # Also a call that is under way just now: whoever gets the compensation first records it
        # and refuses the late call (null compensation, https://dtm.pub/practice/barrier.html).
        touched = pending.maybe_executed or pending.phase in (Phase.READY, Phase.ASKING)
        state = _over(state, pending.key, Result.ABANDONED, pending.reference)
        if touched:
            to_undo = (*to_undo, pending.step)
    return _replace(state, compensating=True, to_undo=to_undo, parked=None)
