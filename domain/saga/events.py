"""Events of a saga, as stored. Times are microseconds since 1970 UTC.

One stream a saga, for sagas of every definition: `saga-<id>`. A call's intent is on disk before the
call is made; its `key` is the idempotency key, the same on every retry, and names the call in all
events that follow (docs/howto/add-a-saga.md).
"""

from enum import StrEnum

from domain.events import Event


class Direction(StrEnum):
    FORWARD = "forward"
    BACKWARD = "backward"
    """The compensation of a step."""


class ParkReason(StrEnum):
    """Why a saga waits for a person."""

    OUTCOME_UNKNOWN = "outcome-unknown"
    """Whether the call took effect could not be found out in time."""
    UNAVAILABLE = "unavailable"
    """The participant refused or was not reached until the step's deadline; nothing was done."""
    DECLINED = "declined"
    """The participant said no for good to something that must be done."""
    COMPENSATION_FAILED = "compensation-failed"
    SETTLEMENT_OVERDUE = "settlement-overdue"
    """Accepted, and neither settled nor failed until the deadline."""
    REVERSED = "reversed"
    """It was reported as done, and failed afterwards."""
    CONTRADICTED = "contradicted"
    """A participant reports as done what it had declined, or what was given up."""


class OperatorAction(StrEnum):
    """What a person may decide about a parked saga."""

    RETRY = "retry"
    SKIP = "skip"
    FORCE_COMPENSATE = "force-compensate"
    MARK_SETTLED = "mark-settled"


class SagaOutcome(StrEnum):
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    """Given up before its pivot, and what it had done before is undone."""


class SagaStarted(Event, frozen=True, tag="saga.started.v1"):
    definition: str
    definition_version: int
    """Pinned: a later version of the definition does not change this saga."""
    conversation_id: str | None
    data: dict[str, str | int | None]
    """What the bodies of its calls are made of."""


class CallIntended(Event, frozen=True, tag="saga.call_intended.v1"):
    step: str
    direction: Direction
    operation: str
    """Participant and what it is asked, for example `payment.refund`."""
    key: str
    group: int
    """Attempt group, from 1: a new one is a new key, and a deliberate decision."""
    body: str
    """JSON, the same on every retry."""
    deadline_us: int
    """A durable timer: what happens then, the step's kind says."""


class CallNotExecuted(Event, frozen=True, tag="saga.call_not_executed.v1"):
    """An attempt that had no effect; the next one has the same key."""

    key: str
    attempt: int
    code: str
    detail: str
    next_at_us: int


class OutcomeUnknown(Event, frozen=True, tag="saga.outcome_unknown.v1"):
    """It may have taken effect: ask by key before anything else is decided."""

    key: str
    attempt: int
    code: str
    detail: str
    next_at_us: int


class CallAccepted(Event, frozen=True, tag="saga.call_accepted.v1"):
    """Taken, and its result comes later: by callback, or when it is asked again."""

    key: str
    reference: str
    next_at_us: int
    deadline_us: int


class CallSucceeded(Event, frozen=True, tag="saga.call_succeeded.v1"):
    key: str
    reference: str
    """The participant's own id of it."""
    at_us: int | None
    """The participant's own time of it; None: it gave none."""


class CallDeclined(Event, frozen=True, tag="saga.call_declined.v1"):
    """No, for good: this key gives the same answer for ever."""

    key: str
    code: str
    detail: str
    at_us: int | None
    """The participant's own time of it; None: it gave none."""


class CallReversed(Event, frozen=True, tag="saga.call_reversed.v1"):
    """It had succeeded, and the participant took it back."""

    key: str
    code: str
    detail: str
    at_us: int | None
    """The participant's own time of it; None: it gave none."""


class TimerFired(Event, frozen=True, tag="saga.timer_fired.v1"):
    timer_id: str
    """Fires once: `KEY#N`, where N counts what is known of the call."""
    expired: bool
    """It was the deadline, and not the next attempt's or question's time."""


class StepOverdue(Event, frozen=True, tag="saga.step_overdue.v1"):
    """Its deadline has passed, and it goes on all the same, because it must be done."""

    step: str
    deadline_us: int


class StepGivenUp(Event, frozen=True, tag="saga.step_given_up.v1"):
    """A step that need not succeed has not; or an operator has skipped it."""

    step: str
    direction: Direction
    reason: str


class CompensationStarted(Event, frozen=True, tag="saga.compensation_started.v1"):
    step: str
    """Where it failed."""
    reason: str


class SagaParked(Event, frozen=True, tag="saga.parked.v1"):
    reason: ParkReason
    key: str
    """The call that it is about."""
    detail: str
    next_actions: tuple[OperatorAction, ...]


class OperatorActed(Event, frozen=True, tag="saga.operator_acted.v1"):
    """A person decided; who it was is in the metadata."""

    action: OperatorAction
    reason: str
    reference: str | None
    """With `mark-settled`: the participant's id of what it did."""


class SagaFinished(Event, frozen=True, tag="saga.finished.v1"):
    outcome: SagaOutcome
    given_up: tuple[str, ...]
    """Steps that need not succeed and have not."""


SagaEvent = (
    SagaStarted
    | CallIntended
    | CallNotExecuted
    | OutcomeUnknown
    | CallAccepted
    | CallSucceeded
    | CallDeclined
    | CallReversed
    | TimerFired
    | StepOverdue
    | StepGivenUp
    | CompensationStarted
    | SagaParked
    | OperatorActed
    | SagaFinished
)
