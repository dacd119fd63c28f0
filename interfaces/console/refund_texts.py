"""What happened to refunds, orders and sagas, in words: [Chinese, English]; see `event_texts`."""

from collections.abc import Callable
from typing import Any, Final

from domain import money
from domain.events import Event
from domain.order import events as o
from domain.refund import events as r
from domain.saga import events as s
from interfaces import shapes

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "refund.requested": (
        "为订单 {order} 申请退款 {amount}：{content}",
        "asked for a refund of {amount} of the order {order}: {content}",
    ),
    "refund.requested/erased": (
        "为订单 {order} 申请退款 {amount}（原因已删除）",
        "asked for a refund of {amount} of the order {order}; the reason was erased",
    ),
    "refund.approved": ("批准了退款（规则 {rule}）", "approved the refund ({rule})"),
    "refund.rejected": ("拒绝了退款（{code}）", "rejected the refund ({code})"),
    "refund.settled": ("退款已支付（{reference}）", "the refund is paid ({reference})"),
    "refund.payment_reversed": (
        "支付方撤回了已支付的退款（{code}）",
        "the provider took the payment back ({code})",
    ),
    "refund.failed": ("退款失败（{code}）", "the refund failed ({code})"),
    "refund.completed": ("退款完成", "the refund is complete"),
    "refund.completed/given_up": (
        "退款完成，未做到：{given_up}",
        "the refund is complete, but for: {given_up}",
    ),
    "refund_policy.set": (
        "退款规则：{automatic} 以内自动，超过 {four_eyes} 需两人，每人每日 {daily}",
        "set the policy: automatic up to {automatic}, two people above {four_eyes},"
        " {daily} a day and agent",
    ),
    "refund_allowance.used": (
        "当日额度用去 {amount}",
        "{amount} of the day's allowance was used",
    ),
    "order.registered": (
        "登记了订单 {order}，总额 {amount}",
        "registered the order {order} of {amount}",
    ),
    "order.amount_reserved": (
        "为退款预留了订单的一部分金额",
        "a part of the order was reserved for a refund",
    ),
    "order.amount_released": ("释放了预留的金额", "the reserved part was released"),
    "order.amount_paid": ("预留的金额已退", "the reserved part is paid back"),
    "order.payment_reversed": (
        "退款被撤回，金额重新预留",
        "the payment came back; its part is reserved again",
    ),
    "order.cancellation_began": ("开始取消订单", "began to cancel the order"),
    "order.cancelled": ("订单已取消", "the order is cancelled"),
    "order.cancellation_failed": ("订单取消失败", "the cancellation failed"),
    "saga.started": (
        "流程开始：{definition} 第 {version} 版",
        "the saga began: {definition}, version {version}",
    ),
    "saga.call_intended": (
        "将要调用 {operation}（步骤 {step}，键 {key}）",
        "is about to call {operation} (step {step}, key {key})",
    ),
    "saga.call_not_executed": (
        "第 {attempt} 次调用没有执行（{code}），{next} 再试",
        "attempt {attempt} had no effect ({code}); again at {next}",
    ),
    "saga.outcome_unknown": (
        "第 {attempt} 次调用结果未知（{code}），{next} 查询",
        "attempt {attempt} has an unknown outcome ({code}); asked for at {next}",
    ),
    "saga.call_accepted": (
        "对方已受理（{reference}），等待结果",
        "it was accepted ({reference}); the result comes later",
    ),
    "saga.call_succeeded": ("调用成功（{reference}）", "the call succeeded ({reference})"),
    "saga.call_declined": ("对方拒绝（{code}）", "the call was declined ({code})"),
    "saga.call_reversed": ("对方撤回了结果（{code}）", "the result was taken back ({code})"),
    "saga.timer_fired": ("定时器到点", "a timer fired"),
    "saga.timer_fired/expired": ("期限已到", "the deadline passed"),
    "saga.step_overdue": (
        "步骤 {step} 逾期，继续尝试",
        "the step {step} is overdue, and is tried on",
    ),
    "saga.step_given_up": (
        "放弃步骤 {step}（{code}）",
        "gave up the step {step} ({code})",
    ),
    "saga.compensation_started": (
        "步骤 {step} 失败（{code}），开始撤销",
        "the step {step} failed ({code}); what was done is undone",
    ),
    "saga.parked": (
        "流程停下等人处理（{code}：{detail}）",
        "the saga waits for a person ({code}: {detail})",
    ),
    "saga.operator_acted": ("人工决定：{action}", "decided: {action}"),
    "saga.operator_acted/reference": (
        "人工决定：{action}（{reference}）",
        "decided: {action} ({reference})",
    ),
    "saga.finished": ("流程结束：{outcome}", "the saga ended: {outcome}"),
    "saga.finished/given_up": (
        "流程结束：{outcome}，未做到：{given_up}",
        "the saga ended: {outcome}, but for: {given_up}",
    ),
}
"""Event without its version, and a variant after `/`."""

_Values = tuple[str, dict[str, Any]]


def values(event: Event | None) -> _Values:
    """Variant and what is filled in; nothing for events without holes."""
    teller = _TELLERS.get(type(event))
    return ("", {}) if teller is None else teller(event)


def _requested(event: r.RefundRequested) -> _Values:
    amount = money.show(event.amount_minor, event.currency)
    found = {"order": event.order_reference, "amount": amount, "content": event.reason}
    return "" if event.reason else "/erased", found


def _policy(event: r.RefundPolicySet) -> _Values:
    daily = event.agent_daily_minor
    return "", {
        "automatic": money.show(event.automatic_up_to_minor, event.currency),
        "four_eyes": money.show(event.four_eyes_above_minor, event.currency),
        "daily": "∞" if daily is None else money.show(daily, event.currency),
    }


def _given_up(event: r.RefundCompleted) -> _Values:
    return _but_for(event.given_up, {})


def _finished(event: s.SagaFinished) -> _Values:
    return _but_for(event.given_up, {"outcome": event.outcome.value})


def _but_for(steps: tuple[str, ...], found: dict[str, Any]) -> _Values:
    return ("/given_up", {**found, "given_up": ", ".join(steps)}) if steps else ("", found)


def _attempt(event: s.CallNotExecuted | s.OutcomeUnknown) -> _Values:
    next_at = shapes.time(event.next_at_us)
    return "", {"attempt": event.attempt, "code": event.code, "next": next_at}


def _acted(event: s.OperatorActed) -> _Values:
    variant = "" if event.reference is None else "/reference"
    return variant, {"action": event.action.value, "reference": event.reference}


def _order(event: o.OrderRegistered) -> _Values:
    amount = money.show(event.total_minor, event.currency)
    return "", {"order": event.reference, "amount": amount}


def _fields(**holes: str) -> Callable[[Any], _Values]:
    """Holes that are filled with fields as they are."""
    return lambda event: ("", {hole: getattr(event, field) for hole, field in holes.items()})


_TELLERS: Final[dict[type, Callable[[Any], _Values]]] = {
    r.RefundRequested: _requested,
    r.RefundApproved: _fields(rule="rule"),
    r.RefundRejected: _fields(code="code"),
    r.RefundSettled: _fields(reference="reference"),
    r.RefundPaymentReversed: _fields(code="code"),
    r.RefundFailed: _fields(code="code"),
    r.RefundCompleted: _given_up,
    r.RefundPolicySet: _policy,
    r.RefundAllowanceUsed: lambda e: ("", {"amount": money.show(e.amount_minor, e.currency)}),
    o.OrderRegistered: _order,
    s.SagaStarted: _fields(definition="definition", version="definition_version"),
    s.CallIntended: _fields(operation="operation", step="step", key="key"),
    s.CallNotExecuted: _attempt,
    s.OutcomeUnknown: _attempt,
    s.CallAccepted: _fields(reference="reference"),
    s.CallSucceeded: _fields(reference="reference"),
    s.CallDeclined: _fields(code="code"),
    s.CallReversed: _fields(code="code"),
    s.TimerFired: lambda e: ("/expired" if e.expired else "", {}),
    s.StepOverdue: _fields(step="step"),
    s.StepGivenUp: _fields(step="step", code="reason"),
    s.CompensationStarted: _fields(step="step", code="reason"),
    s.SagaParked: _fields(code="reason", detail="detail"),
    s.OperatorActed: _acted,
    s.SagaFinished: _finished,
}
