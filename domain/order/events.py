"""Events of an order, as stored. Amounts in minor units of the order's currency."""

from domain.events import Event


class OrderRegistered(Event, frozen=True, tag="order.registered.v1"):
    reference: str
    """The order's number in the company's own system."""
    total_minor: int
    currency: str


class OrderAmountReserved(Event, frozen=True, tag="order.amount_reserved.v1"):
    """An approved refund holds a part of the total, before it is paid."""

    refund_id: str
    amount_minor: int


class OrderAmountReleased(Event, frozen=True, tag="order.amount_released.v1"):
    """The refund came to nothing: its part may be refunded again."""

    refund_id: str


class OrderAmountPaid(Event, frozen=True, tag="order.amount_paid.v1"):
    refund_id: str


class OrderPaymentReversed(Event, frozen=True, tag="order.payment_reversed.v1"):
    """The payout came back: its part is reserved, until the refund is paid or given up."""

    refund_id: str


class OrderCancellationBegan(Event, frozen=True, tag="order.cancellation_began.v1"):
    """From here on nothing of it is refunded."""

    cancellation_id: str


class OrderCancelled(Event, frozen=True, tag="order.cancelled.v1"):
    cancellation_id: str


class OrderCancellationFailed(Event, frozen=True, tag="order.cancellation_failed.v1"):
    cancellation_id: str


OrderEvent = (
    OrderRegistered
    | OrderAmountReserved
    | OrderAmountReleased
    | OrderAmountPaid
    | OrderPaymentReversed
    | OrderCancellationBegan
    | OrderCancelled
    | OrderCancellationFailed
)
