"""Orders that refunds are made of."""

from typing import Any

import msgspec

from application.commands.unit_of_work import UnitOfWork
from domain.actors import Actor, ActorKind, Scope, require_admin, require_scope
from domain.order import order as orders


class RegisterOrder(msgspec.Struct, frozen=True, tag=True):
    """Make an order known, once. Answer: `order_id`."""

    reference: str
    total_minor: int
    currency: str


def register_order(uow: UnitOfWork, command: RegisterOrder, actor: Actor) -> dict[str, Any]:
    """For the company's own systems (an API key with `orders:write`) and administrators: whoever
    sets a total says how much may be paid back.
    """
    if actor.kind is ActorKind.API_KEY:
        require_scope(actor, Scope.ORDERS_WRITE)
    else:
        require_admin(actor)
    order = uow.load(orders.DECIDER, orders.order_id(command.reference))
    events = orders.register(order, command.reference, command.total_minor, command.currency)
    uow.stage(orders.DECIDER, order.id, events)
    return {"order_id": order.id}
