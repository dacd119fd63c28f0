"""What is known of a saga after some of its events."""

from enum import StrEnum

import msgspec

from domain.saga.events import Direction, OperatorAction, ParkReason, SagaOutcome


class Status(StrEnum):
    """Where a saga is, for people, lists and metrics."""

    RUNNING = "running"
    SETTLING = "settling"
    """A participant has taken the call, and its result comes later."""
    UNKNOWN = "unknown"
    """A call may have taken effect, and nobody knows yet."""
    COMPENSATING = "compensating"
    PARKED = "parked"
    """Waits for a person."""
    COMPLETED = "completed"
    COMPENSATED = "compensated"


TERMINAL = frozenset({Status.COMPLETED, Status.COMPENSATED})


class Phase(StrEnum):
    """What a call that has no definite outcome waits for."""

    READY = "ready"
    """To be made, now."""
    WAITING = "waiting"
    """To be made again, later."""
    UNKNOWN = "unknown"
    """To be asked for, later."""
    ACCEPTED = "accepted"
    """For its callback; to be asked for, later."""
    ASKING = "asking"
    """To be asked for, now."""


class Result(StrEnum):
    """What became of a call."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    REVERSED = "reversed"
    ABANDONED = "abandoned"
    """Another call took its place before it had an outcome."""


class PendingCall(msgspec.Struct, frozen=True, gc=False):
    """The call that the saga waits for."""

    step: str
    direction: Direction
    operation: str
    key: str
    group: int
    body: str
    deadline_us: int
    phase: Phase = Phase.READY
    attempts: int = 0
    """Of those that ended without a definite outcome."""
    facts: int = 0
    """Events about it, so that each of its timers has an id of its own."""
    next_at_us: int | None = None
    maybe_executed: bool = False
    accepted: bool = False
    reference: str | None = None


class KnownCall(msgspec.Struct, frozen=True, gc=False):
    """A call that is over."""

    step: str
    direction: Direction
    group: int
    result: Result
    reference: str | None = None
    at_us: int | None = None
    """The participant's time of the result."""


class Parked(msgspec.Struct, frozen=True, gc=False):
    """Why a person is waited for, and what the person may do."""

    reason: ParkReason
    key: str
    detail: str
    next_actions: tuple[OperatorAction, ...]


class Timer(msgspec.Struct, frozen=True, gc=False):
    """The one thing that happens by itself, unless something else happens before."""

    id: str
    at_us: int


class Saga(msgspec.Struct, frozen=True):
    """State of one saga after some of its events."""

    id: str
    definition: str | None = None
    """None: it was not started."""
    definition_version: int = 0
    conversation_id: str | None = None
    data: dict[str, str | int | None] = {}
    pending: PendingCall | None = None
    calls: dict[str, KnownCall] = {}
    """Key -> what became of the call."""
    done: tuple[str, ...] = ()
    """Steps that have succeeded and are not undone, in order."""
    to_undo: tuple[str, ...] = ()
    """With `compensating`: steps that may have taken effect, in order."""
    given_up: tuple[str, ...] = ()
    undo_given_up: tuple[str, ...] = ()
    compensating: bool = False
    failure: str = ""
    """Why it is, or was, compensated."""
    overdue: bool = False
    parked: Parked | None = None
    outcome: SagaOutcome | None = None

    @property
    def status(self) -> Status:
        """Where it is."""
        if self.parked is not None:
            return Status.PARKED
        if self.outcome is not None:
            return Status(self.outcome.value)
        pending = self.pending
        if pending is not None and pending.accepted:
            return Status.SETTLING
        if pending is not None and pending.maybe_executed:
            return Status.UNKNOWN
        return Status.COMPENSATING if self.compensating else Status.RUNNING

    @property
    def timer(self) -> Timer | None:
        """The timer that is set; every saga that is neither over nor parked has one."""
        pending = self.pending
        if pending is None or self.parked is not None or self.outcome is not None:
            return None
        at = pending.deadline_us
        if pending.next_at_us is not None:
            at = min(at, pending.next_at_us)
        return Timer(f"{pending.key}#{pending.facts}", at)

    def last_call(self, step: str, direction: Direction) -> KnownCall | None:
        """What became of the step's latest attempt group."""
        calls = [c for c in self.calls.values() if c.step == step and c.direction is direction]
        return max(calls, key=lambda call: call.group, default=None)
