"""Order: state, fold and decisions. What is reserved and paid never exceeds the total."""

import hashlib
import unicodedata
import uuid

import msgspec

from domain import errors, money
from domain.events import Decider
from domain.order.events import (
    OrderAmountPaid,
    OrderAmountReleased,
    OrderAmountReserved,
    OrderCancellationBegan,
    OrderCancellationFailed,
    OrderCancelled,
    OrderEvent,
    OrderPaymentReversed,
    OrderRegistered,
)
from domain.text import clean_line

_replace = msgspec.structs.replace


class Order(msgspec.Struct, frozen=True):
    """State of one order after some of its events."""

    id: str
    reference: str | None = None
    """None: it is not registered."""
    total_minor: int = 0
    currency: str = ""
    reserved: dict[str, int] = {}
    """Refund -> minor units."""
    paid: dict[str, int] = {}
    cancellation_id: str | None = None
    """The order is cancelled by it, or is being cancelled."""
    cancelled: bool = False

    @property
    def available_minor(self) -> int:
        """What may still be refunded."""
        return self.total_minor - sum(self.reserved.values()) - sum(self.paid.values())


def order_id(reference: str) -> str:
    """The id of the order with this reference: a UUID of version 8 (RFC 9562 section 5.8).

    Of the reference as it is stored: however it is typed, one number is one order.
    """
    line = unicodedata.normalize("NFC", reference).strip()
    name = line.encode(errors="surrogatepass")  # what is no text is found nowhere
    digest = bytearray(hashlib.sha256(b"order\x00" + name).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def evolve(state: Order, event: OrderEvent) -> Order:
    """State after one more event."""
    match event:
        case OrderRegistered():
            return _replace(
                state,
                reference=event.reference,
                total_minor=event.total_minor,
                currency=event.currency,
            )
        case OrderAmountReserved(refund_id=refund_id, amount_minor=amount):
            return _replace(state, reserved={**state.reserved, refund_id: amount})
        case OrderAmountReleased(refund_id=refund_id):
            return _replace(state, reserved=_without(state.reserved, refund_id))
        case OrderAmountPaid(refund_id=refund_id):
            paid = {**state.paid, refund_id: state.reserved[refund_id]}
            return _replace(state, reserved=_without(state.reserved, refund_id), paid=paid)
        case OrderPaymentReversed(refund_id=refund_id):
            reserved = {**state.reserved, refund_id: state.paid[refund_id]}
            return _replace(state, reserved=reserved, paid=_without(state.paid, refund_id))
        case OrderCancellationBegan(cancellation_id=cancellation_id):
            return _replace(state, cancellation_id=cancellation_id)
        case OrderCancelled(cancellation_id=cancellation_id):
            return _replace(state, cancelled=True, cancellation_id=cancellation_id)
        case OrderCancellationFailed():
            return _replace(state, cancellation_id=None)


DECIDER: Decider[Order] = Decider("order", Order, evolve)


def register(
    state: Order, reference: str, total_minor: int, currency: str
) -> tuple[OrderEvent, ...]:
    """Make an order known; the same again says nothing new.

    Raises:
        InvalidInput: what is wrong with the data.
        OrderKnown: it is known with another total or currency.
    """
    reference = clean_line(reference, "reference")
    money.check_currency(currency)
    money.check_minor(total_minor, "total")
    if state.reference is not None:
        if (state.total_minor, state.currency) != (total_minor, currency):
            raise errors.OrderKnown
        return ()
    return (OrderRegistered(reference, total_minor, currency),)


def require_registered(state: Order, reference: str) -> None:
    """
    Raises:
        OrderNotFound: it is not known here.
    """
    if state.reference is None:
        raise errors.OrderNotFound(reference)


def require_available(state: Order, amount_minor: int, currency: str) -> None:
    """A refund of this amount is possible at this moment.

    Raises:
        InvalidInput: another currency than the order's.
        OrderCancelled, OrderBalanceExceeded.
    """
    if currency != state.currency:
        raise errors.InvalidInput(f"The order is in {state.currency}.", "currency")
    if state.cancellation_id is not None:
        raise errors.OrderCancelled
    if amount_minor > state.available_minor:
        raise errors.OrderBalanceExceeded(money.show(state.available_minor, state.currency))


def reserve(
    state: Order, refund_id: str, amount_minor: int, currency: str
) -> tuple[OrderEvent, ...]:
    """Hold a part of the total for an approved refund; raises as `require_available`."""
    if refund_id in state.reserved or refund_id in state.paid:
        return ()
    require_available(state, amount_minor, currency)
    return (OrderAmountReserved(refund_id, amount_minor),)


def release(state: Order, refund_id: str) -> tuple[OrderEvent, ...]:
    """Give a reservation back."""
    return (OrderAmountReleased(refund_id),) if refund_id in state.reserved else ()


def hold(state: Order, refund_id: str, amount_minor: int) -> tuple[OrderEvent, ...]:
    """Money may have moved, whatever was decided: count it, even beyond the total."""
    if refund_id in state.reserved or refund_id in state.paid:
        return ()
    return (OrderAmountReserved(refund_id, amount_minor),)


def pay(state: Order, refund_id: str, amount_minor: int) -> tuple[OrderEvent, ...]:
    """A refund is paid."""
    if refund_id in state.paid:
        return ()
    return (*hold(state, refund_id, amount_minor), OrderAmountPaid(refund_id))


def reverse(state: Order, refund_id: str) -> tuple[OrderEvent, ...]:
    """A payout came back."""
    return (OrderPaymentReversed(refund_id),) if refund_id in state.paid else ()


def begin_cancellation(state: Order, cancellation_id: str) -> tuple[OrderEvent, ...]:
    """Cancel it; only an order of which nothing is refunded or about to be.

    Raises:
        OrderCancelled: it is, or another cancellation is under way.
        OrderBalanceExceeded: refunds of it are under way or paid.
    """
    if state.cancellation_id is not None:
        if state.cancellation_id == cancellation_id:
            return ()
        raise errors.OrderCancelled
    if state.available_minor != state.total_minor:
        raise errors.OrderBalanceExceeded(money.show(state.available_minor, state.currency))
    return (OrderCancellationBegan(cancellation_id),)


def finish_cancellation(
    state: Order, cancellation_id: str, *, cancelled: bool
) -> tuple[OrderEvent, ...]:
    """How a cancellation ended."""
    if state.cancelled:
        return ()
    if cancelled:
        return (OrderCancelled(cancellation_id),)
    if state.cancellation_id != cancellation_id:
        return ()
    return (OrderCancellationFailed(cancellation_id),)


def _without(amounts: dict[str, int], refund_id: str) -> dict[str, int]:
    return {id: amount for id, amount in amounts.items() if id != refund_id}
