"""Refund: state, fold and decisions."""

from enum import StrEnum
from typing import Final

import msgspec

from domain import errors, money
from domain.events import Decider
from domain.refund.events import (
    ApprovalRule,
    RefundApproved,
    RefundCompleted,
    RefundEvent,
    RefundFailed,
    RefundLine,
    RefundPaymentReversed,
    RefundRejected,
    RefundRequested,
    RefundSettled,
)
from domain.text import MAX_REASON_CHARS, clean_line

MAX_LINES: Final = 100
MAX_EVIDENCE: Final = 20
_replace = msgspec.structs.replace


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    """Decided, and on its way."""
    REJECTED = "rejected"
    SETTLED = "settled"
    """The money is paid."""
    REVERSED = "reversed"
    """It was paid, and came back; a person decides."""
    COMPLETED = "completed"
    FAILED = "failed"


class Refund(msgspec.Struct, frozen=True):
    """State of one refund after some of its events."""

    id: str
    status: RefundStatus | None = None
    """None: it was never requested."""
    conversation_id: str = ""
    contact_id: str = ""
    order_reference: str = ""
    amount_minor: int = 0
    currency: str = ""
    lines: tuple[RefundLine, ...] = ()
    requested_by: str = ""


def evolve(state: Refund, event: RefundEvent) -> Refund:
    """State after one more event."""
    match event:
        case RefundRequested():
            return _replace(
                state,
                status=RefundStatus.REQUESTED,
                conversation_id=event.conversation_id,
                contact_id=event.contact_id,
                order_reference=event.order_reference,
                amount_minor=event.amount_minor,
                currency=event.currency,
                lines=event.lines,
                requested_by=event.requested_by,
            )
        case RefundApproved():
            return _replace(state, status=RefundStatus.APPROVED)
        case RefundRejected():
            return _replace(state, status=RefundStatus.REJECTED)
        case RefundSettled():
            return _replace(state, status=RefundStatus.SETTLED)
        case RefundPaymentReversed():
            return _replace(state, status=RefundStatus.REVERSED)
        case RefundFailed():
            return _replace(state, status=RefundStatus.FAILED)
        case RefundCompleted():
            return _replace(state, status=RefundStatus.COMPLETED)


DECIDER: Decider[Refund] = Decider("refund", Refund, evolve)


def require_exists(state: Refund) -> None:
    """
    Raises:
        RefundNotFound: nobody asked for it.
    """
    if state.status is None:
        raise errors.RefundNotFound(state.id)


def request(state: Refund, asked: RefundRequested) -> tuple[RefundEvent, ...]:
    """Ask for a refund; asked for again it says nothing new.

    Raises:
        InvalidInput: what is wrong with the data.
    """
    if state.status is not None:
        return ()
    money.check_currency(asked.currency)
    money.check_minor(asked.amount_minor)
    if len(asked.lines) > MAX_LINES:
        raise errors.InvalidInput(f"lines can be at most {MAX_LINES}.", "lines")
    for line in asked.lines:
        clean_line(line.sku, "sku")
        if not 1 <= line.quantity <= 1_000_000:
            raise errors.InvalidInput("quantity must be from 1 to 1,000,000.", "lines")
        if line.amount_minor is not None:
            money.check_minor(line.amount_minor, "lines")
    if sum(line.amount_minor or 0 for line in asked.lines) > asked.amount_minor:
        raise errors.InvalidInput("The lines' amounts exceed the refund's.", "lines")
    if len(asked.evidence) > MAX_EVIDENCE:
        raise errors.InvalidInput(f"evidence can be at most {MAX_EVIDENCE} messages.", "evidence")
    reason = clean_line(asked.reason, "reason", MAX_REASON_CHARS)
    return (_replace(asked, reason=reason),)


def approve(state: Refund, rule: ApprovalRule, by: str) -> tuple[RefundEvent, ...]:
    """Decide that it is paid.

    Raises:
        RefundNotFound: nobody asked for it.
        RefundDecided: it was decided before.
        SecondPersonNeeded: by who asked for it, and the rule is four eyes.
    """
    _require_open(state)
    if rule is ApprovalRule.FOUR_EYES and by == state.requested_by:
        raise errors.SecondPersonNeeded
    return (RefundApproved(rule, by),)


def reject(state: Refund, by: str, code: str, reason: str) -> tuple[RefundEvent, ...]:
    """Decide that it is not paid; raises as `approve`, and InvalidInput without a reason."""
    _require_open(state)
    return (RefundRejected(by, code, clean_line(reason, "reason", MAX_REASON_CHARS)),)


def settle(state: Refund, reference: str) -> tuple[RefundEvent, ...]:
    """The money is paid."""
    if state.status is RefundStatus.SETTLED:
        return ()
    return (RefundSettled(reference),)


def reverse(state: Refund, code: str) -> tuple[RefundEvent, ...]:
    """What was paid came back."""
    return (RefundPaymentReversed(code),)


def finish(
    state: Refund, *, completed: bool, code: str, given_up: tuple[str, ...]
) -> tuple[RefundEvent, ...]:
    """How its process ended."""
    if completed:
        return (RefundCompleted(given_up),)
    return (RefundFailed(code, given_up),)


def _require_open(state: Refund) -> None:
    require_exists(state)
    if state.status is not RefundStatus.REQUESTED:
        assert state.status is not None
        raise errors.RefundDecided(state.status.value)
