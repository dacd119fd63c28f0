"""Cancelling orders."""

from typing import Any

import msgspec

from application.commands.refund import check_id
from application.commands.saga import start_saga
from application.commands.unit_of_work import UnitOfWork
from application.sagas import cancellation
from domain.actors import Actor, require_staff
from domain.conversation import conversation as conversations
from domain.order import order as orders
from domain.saga import saga as sagas


class CancelOrder(msgspec.Struct, frozen=True, tag=True):
    """Stop an order that a customer no longer wants. Answer: `cancellation_id`, `status`."""

    cancellation_id: str
    """A new UUID of the sender's choice, also the saga's id."""
    order_reference: str
    conversation_id: str


def cancel_order(uow: UnitOfWork, command: CancelOrder, actor: Actor) -> dict[str, Any]:
    """Staff."""
    require_staff(actor)
    check_id(command.cancellation_id, "cancellation_id")
    conversation = uow.load(conversations.DECIDER, command.conversation_id)
    conversations.require_open_stream(conversation)
    order = uow.load(orders.DECIDER, orders.order_id(command.order_reference))
    orders.require_registered(order, command.order_reference)
    saga = uow.load(sagas.DECIDER, command.cancellation_id)
    if saga.definition == cancellation.NAME:
        # A repeat, perhaps from long ago: whatever it came to, it begins nothing.
        return {"cancellation_id": saga.id, "status": saga.status.value}
    events = orders.begin_cancellation(order, command.cancellation_id)
    uow.stage(orders.DECIDER, order.id, events)
    data = cancellation.data_of(order.reference or "", command.conversation_id)
    start_saga(uow, cancellation.NAME, command.cancellation_id, data, command.conversation_id)
    return {"cancellation_id": command.cancellation_id, "status": "running"}
