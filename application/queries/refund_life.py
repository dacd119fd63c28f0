"""The life of a refund: its own events, its saga's and its order's, in the order of the log."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from application.ports.event_store import RecordedEvent
from application.ports.refund_views import RefundFilter, RefundViews, SagaFilter
from application.queries.life import LifeEvent, named, open_step
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain.errors import RefundNotFound
from domain.events import Decider
from domain.order import order as orders
from domain.order.order import Order
from domain.refund import refund as refunds
from domain.refund.refund import Refund
from domain.saga import saga as sagas
from domain.saga.state import Saga

_PAGE = 200
S = TypeVar("S")


class RefundLife(NamedTuple):
    """A refund as it was at a position, and what led there."""

    refund: Refund
    saga: Saga
    order: Order
    events: list[LifeEvent]


async def refund_life(
    streams: StreamReader, opener: Opener, refund_id: str, up_to: int | None = None
) -> RefundLife:
    """Everything about one refund; of its order also what other refunds did to it.

    Raises:
        RefundNotFound: nobody had asked for it by then.
        UndecodableEvent: a newer kefu wrote an event that this one can't fold.
    """
    found: list[RecordedEvent] = []

    async def fold(decider: Decider[S], id: str) -> S:
        state = decider.initial(id)
        async for recorded in streams.events([decider.stream(id)], up_to):
            found.append(recorded)
            state = decider.evolve(state, opener.decode(recorded))
        return state

    refund = await fold(refunds.DECIDER, refund_id)
    if refund.status is None:
        raise RefundNotFound(refund_id)
    saga = await fold(sagas.DECIDER, refund_id)
    order = await fold(orders.DECIDER, orders.order_id(refund.order_reference))
    found.sort(key=lambda recorded: recorded.position)
    events = await named(streams, opener, [open_step(opener, recorded) for recorded in found])
    return RefundLife(refund, saga, order, events)


async def streams_of_conversation(views: RefundViews, conversation_id: str) -> list[str]:
    """Streams of the refunds, the sagas and the orders that belong to a conversation, as far as
    the views know them.
    """
    found: dict[str, None] = {}
    async for refund in _every(views.refunds, RefundFilter(conversation_id=conversation_id)):
        found[refunds.DECIDER.stream(refund.id)] = None
        found[orders.DECIDER.stream(orders.order_id(refund.order_reference))] = None
    async for row in _every(views.sagas, SagaFilter(conversation_id=conversation_id)):
        found[sagas.DECIDER.stream(row.saga.id)] = None
        reference = row.saga.data.get("order_reference")
        if reference is not None:
            found[orders.DECIDER.stream(orders.order_id(str(reference)))] = None
    return list(found)


async def _every(ask: Callable[..., Any], wanted: Any) -> Any:
    cursor: str | None = None
    while True:
        page = await ask(wanted, _PAGE, cursor)
        for row in page.data:
            yield row
        cursor = cast("str | None", page.after_cursor)
        if cursor is None:
            return
