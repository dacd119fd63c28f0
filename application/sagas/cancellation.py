"""The order cancellation saga: stop the shipment, void the payment, tell the customer.

A second saga on the same kit, and the example of docs/howto/add-a-saga.md.
"""

from typing import Any, Final

from application.sagas.definition import Data, Definition, RetryPolicy, Step, StepKind

NAME: Final = "cancellation"
PIVOT: Final = "payment"
DEFAULT_POLICY: Final = RetryPolicy(deadline_s=3_600.0)


def definition_v1(policy: RetryPolicy = DEFAULT_POLICY) -> Definition:
    """Version 1."""
    return Definition(
        NAME,
        1,
        steps=(
            Step(
                "shipment",
                "erp.stop_shipment",
                StepKind.COMPENSATABLE,
                _order,
                undo="erp.resume_shipment",
                policy=policy,
            ),
            Step(PIVOT, "payment.void", StepKind.PIVOT, _order, policy=policy),
            Step(
                "notice",
                "conversation.notify",
                StepKind.BEST_EFFORT,
                lambda data: _notice(data, "order-cancelled"),
                policy=policy,
            ),
        ),
        after_failure=(
            Step(
                "failure_notice",
                "conversation.notify",
                StepKind.BEST_EFFORT,
                lambda data: _notice(data, "order-not-cancelled"),
                policy=policy,
            ),
        ),
    )


def data_of(order_reference: str, conversation_id: str) -> Data:
    """What it is started with."""
    return {"order_reference": order_reference, "conversation_id": conversation_id}


def _order(data: Data) -> dict[str, Any]:
    return {"order_reference": data["order_reference"]}


def _notice(data: Data, template: str) -> dict[str, Any]:
    return {**data, "template": template}
