"""Refunds: asked for in a conversation, decided by people or by the policy; the policies."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from application.commands.refund import (
    ApproveRefund,
    RejectRefund,
    RequestRefund,
    SetRefundPolicy,
)
from application.ports.core import Receipt
from application.ports.refund_views import RefundFilter
from application.queries.core import Principal
from domain import money
from domain.actors import Scope
from domain.errors import RefundNotFound
from domain.refund.events import RefundLine
from domain.refund.policy import RefundPolicy
from domain.refund.refund import RefundStatus
from interfaces import refund_shapes
from interfaces.http.authentication import ADMINS, READERS, STAFF, Access, allow
from interfaces.http.context import CommandsDep, min_position
from interfaces.http.dependencies import Deps
from interfaces.http.models import page
from interfaces.http.refund_models import (
    Decided,
    PolicyBody,
    PolicyList,
    PolicySetAnswer,
    RefundAnswer,
    RefundList,
    RejectRefundBody,
    RequestRefundBody,
)

router = APIRouter(tags=["refunds"])
Admin = Annotated[Principal, Depends(allow(Access(ADMINS)))]
Staff = Annotated[Principal, Depends(allow(Access(STAFF)))]
Reader = Annotated[Principal, Depends(allow(Access(READERS)))]
Requester = Annotated[Principal, Depends(allow(Access(STAFF, scope=Scope.REFUNDS_WRITE)))]
Limit = Annotated[int, Query(ge=1, le=200)]
_MIN_POSITION = [Depends(min_position)]


@router.post("/conversations/{conversation_id}/refunds", status_code=201, response_model=Decided)
async def request_refund(
    conversation_id: str,
    body: RequestRefundBody,
    principal: Requester,
    deps: Deps,
    commands: CommandsDep,
) -> dict[str, Any]:
    """Ask for money back to a customer; the policy may approve it at once."""
    command = RequestRefund(
        refund_id=deps.ids.new(),
        conversation_id=conversation_id,
        order_reference=body.order_reference,
        amount_minor=money.parse(body.amount, body.currency),
        currency=body.currency,
        reason=body.reason,
        lines=tuple(
            RefundLine(
                line.sku,
                line.quantity,
                None if line.amount is None else money.parse(line.amount, body.currency, "lines"),
            )
            for line in body.lines
        ),
        evidence=tuple(body.evidence),
    )
    return _decided(await commands.execute(command, principal.actor))


@router.get(
    "/conversations/{conversation_id}/refunds",
    response_model=RefundList,
    dependencies=_MIN_POSITION,
)
async def refunds_of_conversation(
    conversation_id: str,
    principal: Reader,
    deps: Deps,
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """A conversation's refunds, newest first."""
    wanted = RefundFilter(conversation_id=conversation_id)
    found = await deps.views.refunds(wanted, limit, cursor)
    data = [refund_shapes.refund(row, principal.actor) for row in found.data]
    return page(data, found.after_cursor)


@router.get("/refunds", response_model=RefundList, dependencies=_MIN_POSITION)
async def list_refunds(
    principal: Reader,
    deps: Deps,
    status: RefundStatus | None = None,
    conversation_id: str | None = None,
    order_reference: str | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Refunds, newest first."""
    wanted = RefundFilter(status, conversation_id, order_reference)
    found = await deps.views.refunds(wanted, limit, cursor)
    data = [refund_shapes.refund(row, principal.actor) for row in found.data]
    return page(data, found.after_cursor)


@router.get("/refunds/{refund_id}", response_model=RefundAnswer, dependencies=_MIN_POSITION)
async def get_refund(refund_id: str, principal: Reader, deps: Deps) -> dict[str, Any]:
    """One refund."""
    row = await deps.views.refund(refund_id)
    if row is None:
        raise RefundNotFound(refund_id)
    return refund_shapes.refund(row, principal.actor)


@router.post("/refunds/{refund_id}/approve", response_model=Decided)
async def approve_refund(refund_id: str, principal: Staff, commands: CommandsDep) -> dict[str, Any]:
    """Decide that it is paid; `rejected` where its order has too little left by now."""
    return _decided(await commands.execute(ApproveRefund(refund_id), principal.actor))


@router.post("/refunds/{refund_id}/reject", response_model=Decided)
async def reject_refund(
    refund_id: str, body: RejectRefundBody, principal: Staff, commands: CommandsDep
) -> dict[str, Any]:
    """Decide that it is not paid."""
    command = RejectRefund(refund_id, body.reason)
    return _decided(await commands.execute(command, principal.actor))


@router.get("/refund_policies", response_model=PolicyList, dependencies=_MIN_POSITION)
async def list_policies(principal: Reader, deps: Deps) -> dict[str, Any]:
    """How refunds are decided; in a currency that is not here two people are always needed."""
    found = await deps.views.refund_policies()
    return page([refund_shapes.policy(state) for state in found], None)


@router.put("/refund_policies/{currency}", response_model=PolicySetAnswer)
async def set_policy(
    currency: str, body: PolicyBody, principal: Admin, commands: CommandsDep
) -> dict[str, Any]:
    """Say how refunds in a currency are decided, from now on."""
    automatic = money.parse_limit(body.automatic_up_to, currency, "automatic_up_to")
    four_eyes = money.parse_limit(body.four_eyes_above, currency, "four_eyes_above")
    daily = body.agent_daily
    daily_minor = None if daily is None else money.parse_limit(daily, currency, "agent_daily")
    command = SetRefundPolicy(currency, automatic, four_eyes, daily_minor)
    receipt = await commands.execute(command, principal.actor)
    shown = refund_shapes.policy(RefundPolicy(currency, automatic, four_eyes, daily_minor))
    return {**shown, "position": receipt.position}


def _decided(receipt: Receipt) -> dict[str, Any]:
    return {**receipt.result, "position": receipt.position}
