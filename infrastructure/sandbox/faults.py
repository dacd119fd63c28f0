"""Faults on demand. In memory: a restart ends them."""

from typing import Any, Final, Literal

import msgspec

from domain.errors import InvalidInput
from infrastructure.sandbox.ledger import CallbackMode, Plan
from infrastructure.sandbox.operations import LOOK_UPS, PATHS

Kind = Literal[
    "delay",
    "drop-request",
    "drop-answer",
    "status",
    "in-flight",
    "decline",
    "late-failure",
    "duplicate-callback",
    "reorder-callbacks",
    "no-callback",
    "hang",
]
_OPERATIONS: Final = frozenset((*PATHS.values(), *LOOK_UPS.values()))


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, for which calls."""

    fault: Kind
    operation: str | None = None
    """None: every call, but no look-up; those are `payment.look_up` and `erp.look_up`."""
    order: str | None = None
    """What the order's reference begins with; None: any."""
    times: int | None = None
    """So many calls; None: all."""
    delay_s: float = 1.0
    """`delay`: how long."""
    when: Literal["before", "after"] = "before"
    """`delay`: before or after it is done; it is done also if the caller has gone meanwhile."""
    done: bool = False
    """`status`, `hang`: whether it is done all the same."""
    status: int = 500
    """`status`: what is answered in place of the true answer."""
    code: str | None = None
    """`status`, `decline`, `late-failure`: the code."""
    retry_after: str | None = None
    """`status`, `in-flight`: the header Retry-After, seconds or a date."""
    after_s: float = 0.5
    """`late-failure`: so long after its success."""
    copies: int = 2
    """`duplicate-callback`: so many."""
    hold_s: float = 1.0
    """`reorder-callbacks`: so long the first one is held back."""


class Faults:
    """Those that are set, each with a number and how often it happened."""

    def __init__(self) -> None:
        self._set: dict[int, Fault] = {}
        self._hits: dict[int, int] = {}
        self._last = 0

    def add(self, body: bytes) -> int:
        """Set one; returns its number.

        Raises:
            InvalidInput: not a fault.
        """
        try:
            fault = msgspec.json.decode(body, type=Fault)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(str(error)) from None
        if fault.operation is not None and fault.operation not in _OPERATIONS:
            raise InvalidInput(f"There is no operation {fault.operation!r}.")
        if fault.times is not None and fault.times < 1:
            raise InvalidInput("times is 1 or more, or null.")
        if not 200 <= fault.status <= 599 or fault.copies < 1:
            raise InvalidInput("status is 200 to 599, and copies 1 or more.")
        if min(fault.delay_s, fault.after_s, fault.hold_s) < 0:
            raise InvalidInput("A time is 0 s or more.")
        self._last += 1
        self._set[self._last] = fault
        self._hits[self._last] = 0
        return self._last

    def all(self) -> list[dict[str, Any]]:
        """Those that are set, with their `id` and `hits`."""
        return [
            {"id": id, "hits": self._hits[id], **msgspec.to_builtins(fault)}
            for id, fault in self._set.items()
        ]

    def clear(self) -> None:
        """None goes wrong any more."""
        self._set.clear()

    def remove(self, id: int) -> bool:
        """Whether there was one of this number; there is none now."""
        return self._set.pop(id, None) is not None

    def take(self, operation: str, order: str | None) -> list[Fault]:
        """What goes wrong with this call, in the order of being set; each counts as happened."""
        found = []
        for id, fault in self._set.items():
            wanted = fault.operation or (None if operation in LOOK_UPS.values() else operation)
            if wanted != operation or not (order or "").startswith(fault.order or ""):
                continue
            if fault.times is not None and self._hits[id] >= fault.times:
                continue
            self._hits[id] += 1
            found.append(fault)
        return found


def plan_of(faults: list[Fault], settle_after_s: float | None) -> Plan:
    """How a new call goes with these faults."""
    plan = Plan(settle_after_s=settle_after_s)
    mode = CallbackMode()
    for fault in faults:
        match fault.fault:
            case "decline":
                plan = msgspec.structs.replace(plan, decline=fault.code or "declined")
            case "late-failure":
                plan = msgspec.structs.replace(
                    plan,
                    reverse_after_s=fault.after_s,
                    reverse_code=fault.code or "late-failure",
                )
            case "duplicate-callback":
                mode = msgspec.structs.replace(mode, copies=fault.copies)
            case "reorder-callbacks":
                mode = msgspec.structs.replace(mode, hold_s=fault.hold_s)
            case "no-callback":
                mode = msgspec.structs.replace(mode, skip=True)
            case _:
                pass
    return msgspec.structs.replace(plan, callback=mode)
