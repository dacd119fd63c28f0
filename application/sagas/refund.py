"""The refund saga: reserve the return, pay, post, tell the customer.

::

    requested -> approved (the amount reserved against the order's total)
      inventory   erp.authorise_return     undo erp.cancel_return      compensatable
      payment     payment.refund                                       pivot
      posting     erp.post_refund          undo erp.reverse_posting    tried for ever
      notice      conversation.notify                                  best effort

The posting's undo is for one case alone: the provider takes the money back afterwards, and a
person decides to give the refund up.
"""

from typing import Any, Final

import msgspec

from application.sagas.definition import Data, Definition, RetryPolicy, Step, StepKind
from domain.refund.refund import Refund

NAME: Final = "refund"
PIVOT: Final = "payment"


class RefundTiming(msgspec.Struct, frozen=True):
    """Deadlines and pauses, which settings change (docs/howto/settings.md). Seconds."""

    first_delay_s: float = 0.5
    longest_delay_s: float = 300.0
    reservation_deadline_s: float = 3_600.0
    payment_deadline_s: float = 86_400.0
    settlement_deadline_s: float = 7 * 86_400.0
    posting_deadline_s: float = 86_400.0
    notice_deadline_s: float = 3_600.0
    compensation_deadline_s: float = 86_400.0


DEFAULT_TIMING: Final = RefundTiming()


def definition_v1(timing: RefundTiming = DEFAULT_TIMING) -> Definition:
    """Version 1. Steps and bodies of a version never change; its timing may."""

    def policy(deadline_s: float) -> RetryPolicy:
        return RetryPolicy(
            timing.first_delay_s,
            timing.longest_delay_s,
            deadline_s,
            settlement_s=timing.settlement_deadline_s,
        )

    return Definition(
        NAME,
        1,
        steps=(
            Step(
                "inventory",
                "erp.authorise_return",
                StepKind.COMPENSATABLE,
                _with_lines,
                undo="erp.cancel_return",
                policy=policy(timing.reservation_deadline_s),
                undo_deadline_s=timing.compensation_deadline_s,
            ),
            Step(
                PIVOT,
                "payment.refund",
                StepKind.PIVOT,
                _amount,
                policy=policy(timing.payment_deadline_s),
            ),
            Step(
                "posting",
                "erp.post_refund",
                StepKind.RETRIABLE,
                _with_lines,
                undo="erp.reverse_posting",
                policy=policy(timing.posting_deadline_s),
                undo_deadline_s=timing.compensation_deadline_s,
            ),
            Step(
                "notice",
                "conversation.notify",
                StepKind.BEST_EFFORT,
                lambda data: _notice(data, "refund-settled"),
                policy=policy(timing.notice_deadline_s),
            ),
        ),
        after_failure=(
            Step(
                "failure_notice",
                "conversation.notify",
                StepKind.BEST_EFFORT,
                lambda data: _notice(data, "refund-failed"),
                policy=policy(timing.notice_deadline_s),
            ),
        ),
    )


def data_of(refund: Refund) -> Data:
    """What the saga of an approved refund is started with; nothing personal."""
    return {
        "refund_id": refund.id,
        "order_reference": refund.order_reference,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "conversation_id": refund.conversation_id,
        "lines": msgspec.json.encode(refund.lines).decode(),
    }


def _amount(data: Data) -> dict[str, Any]:
    names = ("refund_id", "order_reference", "amount_minor", "currency")
    return {name: data[name] for name in names}


def _with_lines(data: Data) -> dict[str, Any]:
    return {**_amount(data), "lines": msgspec.json.decode(str(data["lines"]))}


def _notice(data: Data, template: str) -> dict[str, Any]:
    names = ("conversation_id", "order_reference", "amount_minor", "currency")
    return {**{name: data[name] for name in names}, "template": template}
