"""Asking for refunds and deciding them. An approval starts the saga in the same atomic batch."""

import contextlib
import uuid
from typing import Any

import msgspec

from application.commands.saga import start_saga
from application.commands.unit_of_work import UnitOfWork
from application.sagas import refund as saga
from domain.actors import (
    Actor,
    ActorKind,
    Scope,
    require_admin,
    require_scope,
    require_staff,
)
from domain.conversation import conversation as conversations
from domain.errors import (
    Forbidden,
    InvalidInput,
    OrderBalanceExceeded,
    OrderCancelled,
    RefundLimitReached,
)
from domain.message import message as messages
from domain.order import order as orders
from domain.refund import policy as policies
from domain.refund import refund as refunds
from domain.refund.events import POLICY, ApprovalRule, RefundLine, RefundRequested


class RequestRefund(msgspec.Struct, frozen=True, tag=True):
    """Ask for money back to a customer. Answer: `refund_id`, `status`."""

    refund_id: str
    """A new UUID of the sender's choice; the same id again gives the same refund."""
    conversation_id: str
    order_reference: str
    amount_minor: int
    currency: str
    reason: str
    lines: tuple[RefundLine, ...] = ()
    evidence: tuple[str, ...] = ()


class ApproveRefund(msgspec.Struct, frozen=True, tag=True):
    """Decide that it is paid. Answer: `refund_id`, `status`; `rejected` where by now the order has
    too little left."""

    refund_id: str


class RejectRefund(msgspec.Struct, frozen=True, tag=True):
    """Decide that it is not paid. Answer: `refund_id`, `status`."""

    refund_id: str
    reason: str


class SetRefundPolicy(msgspec.Struct, frozen=True, tag=True):
    """How refunds in a currency are decided. Answer: `currency`."""

    currency: str
    automatic_up_to_minor: int
    four_eyes_above_minor: int
    agent_daily_minor: int | None = None


def request_refund(uow: UnitOfWork, command: RequestRefund, actor: Actor) -> dict[str, Any]:
    """Staff, and systems with the scope `refunds:write`."""
    if actor.kind is ActorKind.API_KEY:
        require_scope(actor, Scope.REFUNDS_WRITE)
    else:
        require_staff(actor)
    check_id(command.refund_id, "refund_id")
    conversation = uow.load(conversations.DECIDER, command.conversation_id)
    conversations.require_open_stream(conversation)
    conversations.require_contact_kept(conversation)
    refund = uow.load(refunds.DECIDER, command.refund_id)
    if refund.status is not None:
        return _answer(uow, refund.id)
    order = uow.load(orders.DECIDER, orders.order_id(command.order_reference))
    orders.require_registered(order, command.order_reference)
    orders.require_available(order, command.amount_minor, command.currency)
    for id in command.evidence:
        message = uow.load(messages.DECIDER, id)
        if message.conversation_id != command.conversation_id:
            raise InvalidInput(f"{id!r} is no message of this conversation.", "evidence")
    asked = RefundRequested(
        conversation_id=command.conversation_id,
        contact_id=conversation.contact_id or "",
        order_reference=order.reference or "",
        amount_minor=command.amount_minor,
        currency=command.currency,
        reason=command.reason,
        lines=command.lines,
        evidence=command.evidence,
        requested_by=_name(actor),
    )
    events = refunds.request(refund, asked)
    uow.stage(refunds.DECIDER, refund.id, events, subject=conversation.contact_id)
    policy = uow.load(policies.POLICY, command.currency)
    if policy.rule_for(command.amount_minor) is ApprovalRule.AUTOMATIC:
        _approve_by_policy(uow, refund.id, policy, actor)
    return _answer(uow, refund.id)


def approve_refund(uow: UnitOfWork, command: ApproveRefund, actor: Actor) -> dict[str, Any]:
    """A person, within the policy and the person's limit of the day."""
    _require_person(actor)
    refund = uow.load(refunds.DECIDER, command.refund_id)
    refunds.require_exists(refund)
    policy = uow.load(policies.POLICY, refund.currency)
    rule = policy.rule_for(refund.amount_minor)
    if rule is ApprovalRule.AUTOMATIC:
        rule = ApprovalRule.ONE_PERSON  # the limit of a day kept it from being automatic
    _approve(uow, refund, policy, rule, _name(actor), actor.id)
    return _answer(uow, refund.id)


def reject_refund(uow: UnitOfWork, command: RejectRefund, actor: Actor) -> dict[str, Any]:
    """A person; also the one who asked, who so takes it back."""
    _require_person(actor)
    refund = uow.load(refunds.DECIDER, command.refund_id)
    events = refunds.reject(refund, _name(actor), "declined", command.reason)
    if uow.load(conversations.DECIDER, refund.conversation_id).contact_erased:
        # There is no key any more to seal a person's words with.
        events = tuple(msgspec.structs.replace(event, reason="") for event in events)
    uow.stage(refunds.DECIDER, refund.id, events, subject=refund.contact_id)
    return _answer(uow, refund.id)


def set_refund_policy(uow: UnitOfWork, command: SetRefundPolicy, actor: Actor) -> dict[str, Any]:
    """Administrators."""
    require_admin(actor)
    policy = uow.load(policies.POLICY, command.currency)
    events = policies.set_policy(
        policy,
        command.automatic_up_to_minor,
        command.four_eyes_above_minor,
        command.agent_daily_minor,
    )
    uow.stage(policies.POLICY, policy.id, events)
    return {"currency": policy.id}


def check_id(id: str, field: str) -> None:
    """A UUID in its canonical form: it is a part of idempotency keys.

    Raises:
        InvalidInput: it is not.
    """
    try:
        canonical = str(uuid.UUID(id)) == id
    except ValueError:
        canonical = False
    if not canonical:
        raise InvalidInput(f"{field} must be a UUID in lower case with hyphens.", field)


def _approve_by_policy(
    uow: UnitOfWork, refund_id: str, policy: policies.RefundPolicy, actor: Actor
) -> None:
    refund = uow.load(refunds.DECIDER, refund_id)
    with contextlib.suppress(RefundLimitReached):  # then a person decides
        _approve(uow, refund, policy, ApprovalRule.AUTOMATIC, POLICY, actor.id)


def _approve(
    uow: UnitOfWork,
    refund: refunds.Refund,
    policy: policies.RefundPolicy,
    rule: ApprovalRule,
    by: str,
    agent_id: str,
) -> None:
    approved = refunds.approve(refund, rule, by)
    allowance = uow.load(policies.ALLOWANCE, agent_id)
    used = policies.use(allowance, policy, refund.id, refund.amount_minor, uow.now_us)
    order = uow.load(orders.DECIDER, orders.order_id(refund.order_reference))
    try:
        reserved = orders.reserve(order, refund.id, refund.amount_minor, refund.currency)
    except (OrderBalanceExceeded, OrderCancelled) as error:
        # Another refund of the order was approved meanwhile: this one is decided, too.
        rejected = refunds.reject(refund, POLICY, error.code, error.detail)
        uow.stage(refunds.DECIDER, refund.id, rejected, subject=refund.contact_id)
        return
    uow.stage(policies.ALLOWANCE, agent_id, used)
    uow.stage(refunds.DECIDER, refund.id, approved)
    uow.stage(orders.DECIDER, order.id, reserved)
    start_saga(uow, saga.NAME, refund.id, saga.data_of(refund), refund.conversation_id)


def _require_person(actor: Actor) -> None:
    require_staff(actor)
    if actor.kind is not ActorKind.AGENT:
        raise Forbidden("A person decides refunds.")


def _name(actor: Actor) -> str:
    return f"{actor.kind.value}:{actor.id}"


def _answer(uow: UnitOfWork, refund_id: str) -> dict[str, Any]:
    status = uow.load(refunds.DECIDER, refund_id).status
    assert status is not None
    return {"refund_id": refund_id, "status": status.value}
