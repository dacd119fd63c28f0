"""What a saga is made of: steps in order, each of a kind that says what its failure means.

A definition is a value. A saga that has begun keeps the version that it began with; change one by
adding the next version beside it (docs/howto/add-a-saga.md).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Data = Mapping[str, str | int | None]
"""What the saga was started with."""


class StepKind(StrEnum):
    COMPENSATABLE = "compensatable"
    """Before the pivot. Fails: what was done before is undone, in reverse order."""
    PIVOT = "pivot"
    """The point of no return. No for good: compensate. Not known: find out, or park."""
    RETRIABLE = "retriable"
    """After the pivot: tried for ever. No for good: park."""
    BEST_EFFORT = "best-effort"
    """Fails: the saga goes on, and says so at its end."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a step is tried again. Seconds.

    Delays double from `first_delay_s` to `longest_delay_s`, each between half of it and all of it.
    """

    first_delay_s: float = 0.5
    longest_delay_s: float = 300.0
    deadline_s: float = 86_400.0
    """Of an attempt group, from its intent; what happens then the step's kind says."""
    max_attempts: int | None = None
    """Attempts without a definite outcome; None: until the deadline."""
    settlement_s: float = 7 * 86_400.0
    """From acceptance to the result, where that comes later."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call, and how it is undone."""

    name: str
    """Part of the idempotency key; lower case, digits and `_`."""
    operation: str
    """`participant.what`, for example `payment.refund`."""
    kind: StepKind
    body: Callable[[Data], Mapping[str, Any]]
    """Pure; the same for the same data, for ever: another body needs another version."""
    undo: str | None = None
    """The operation that compensates it. Its body is the step's, with the call's key as
    `action_key`."""
    policy: RetryPolicy = RetryPolicy()
    undo_deadline_s: float = 86_400.0
    """After so long without success the compensation waits for a person."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A process manager."""

    name: str
    version: int
    steps: tuple[Step, ...]
    after_failure: tuple[Step, ...] = ()
    """Best-effort steps at the end of a saga that was compensated."""

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: the order of kinds, or a name, makes no saga.
        """
        names = [step.name for step in (*self.steps, *self.after_failure)]
        kinds = [step.kind for step in self.steps]
        order = sorted(kinds, key=_ORDER.index)
        if not kinds or len(set(names)) != len(names):
            raise ValueError(f"{self.name}: steps need names of their own")
        if kinds.count(StepKind.PIVOT) > 1 or kinds != order:
            raise ValueError(
                f"{self.name}: compensatable, at most one pivot, then what must follow"
            )
        if any(step.kind is not StepKind.BEST_EFFORT for step in self.after_failure):
            raise ValueError(f"{self.name}: what follows a failure is best effort")
        if any(s.undo and s.kind is StepKind.PIVOT for s in self.steps):
            raise ValueError(f"{self.name}: a pivot is never undone")

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises:
            KeyError: there is none.
        """
        for step in (*self.steps, *self.after_failure):
            if step.name == name:
                return step
        raise KeyError(name)

    @property
    def participants(self) -> frozenset[str]:
        """Whom it calls."""
        steps = (*self.steps, *self.after_failure)
        return frozenset(step.operation.partition(".")[0] for step in steps)


_ORDER: Final = (
    StepKind.COMPENSATABLE,
    StepKind.PIVOT,
    StepKind.RETRIABLE,
    StepKind.BEST_EFFORT,
)


class Definitions:
    """All versions of all definitions."""

    def __init__(self, *definitions: Definition) -> None:
        """
        Raises:
            ValueError: two have one name and version.
        """
        self._all = {(one.name, one.version): one for one in definitions}
        if len(self._all) != len(definitions):
            raise ValueError("two definitions have one name and version")

    def get(self, name: str, version: int) -> Definition:
        """The definition that a saga has pinned.

        Raises:
            KeyError: this kefu does not know it: it is older than the one that started the saga.
        """
        return self._all[name, version]

    def newest(self, name: str) -> Definition:
        """What a new saga begins with."""
        return self._all[name, max(v for n, v in self._all if n == name)]

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._all.values())
