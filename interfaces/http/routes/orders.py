"""Orders that refunds are made of, answered by the core: what is left is always up to date.

An order's number may hold slashes.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from application.commands.cancellation import CancelOrder
from application.commands.order import RegisterOrder
from application.queries.core import FindOrder, Principal
from domain import money
from domain.actors import Scope
from interfaces import refund_shapes
from interfaces.http.authentication import ADMINS, READERS, STAFF, Access, allow
from interfaces.http.context import CommandsDep
from interfaces.http.dependencies import Deps
from interfaces.http.refund_models import (
    CancellationAnswer,
    CancelOrderBody,
    OrderAnswer,
    OrderBody,
    OrderRegisteredAnswer,
)

router = APIRouter(prefix="/orders", tags=["refunds"])
Registrar = Annotated[Principal, Depends(allow(Access(ADMINS, scope=Scope.ORDERS_WRITE)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS, scope=Scope.ORDERS_WRITE)))]
Staff = Annotated[Principal, Depends(allow(Access(STAFF)))]


@router.put("/{reference:path}", response_model=OrderRegisteredAnswer)
async def register_order(
    reference: str, body: OrderBody, principal: Registrar, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Make an order known; its total stays. The same again changes nothing."""
    total_minor = money.parse(body.total, body.currency, "total")
    command = RegisterOrder(reference, total_minor, body.currency)
    receipt = await commands.execute(command, principal.actor)
    return {
        **refund_shapes.order(await deps.core.query(FindOrder(reference))),
        "position": receipt.position,
    }


@router.get("/{reference:path}", response_model=OrderAnswer)
async def get_order(reference: str, principal: Reader, deps: Deps) -> dict[str, Any]:
    """What of an order is refunded, reserved, and left."""
    return refund_shapes.order(await deps.core.query(FindOrder(reference)))


@router.post("/{reference:path}/cancel", status_code=202, response_model=CancellationAnswer)
async def cancel_order(
    reference: str, body: CancelOrderBody, principal: Staff, deps: Deps, commands: CommandsDep
) -> dict[str, Any]:
    """Stop an order that the customer of a conversation no longer wants."""
    command = CancelOrder(deps.ids.new(), reference, body.conversation_id)
    receipt = await commands.execute(command, principal.actor)
    return {**receipt.result, "position": receipt.position}
