"""JSON shapes of refunds, orders and sagas, for the API and for `kefu`."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from application.ports.event_store import RecordedEvent
from application.ports.refund_views import Person, RefundRow, SagaRow
from application.queries.life import LifeEvent
from application.queries.saga_life import SagaLife
from application.sagas import diagram
from application.sagas.definition import Definition, Definitions, Step
from application.sagas.progress import current_step, progress
from domain import money
from domain.actors import Actor, ActorKind
from domain.order.order import Order
from domain.refund.events import ApprovalRule
from domain.refund.policy import RefundPolicy
from domain.refund.refund import RefundStatus
from domain.saga.state import Saga
from interfaces import shapes
from interfaces.console import event_texts

_SECOND_US = 1_000_000


def refund(row: RefundRow, actor: Actor) -> dict[str, Any]:
    """A refund, and what whoever asks may do about it."""
    currency = row.currency
    rejection = None
    if row.rejection_code is not None:
        rejection = {"code": row.rejection_code, "reason": row.rejection_reason}
    return {
        "id": row.id,
        "status": row.status.value,
        "conversation_id": row.conversation_id,
        "contact_id": row.contact_id,
        "order_reference": row.order_reference,
        "amount": money.decimal(row.amount_minor, currency),
        "amount_minor": row.amount_minor,
        "currency": currency,
        "reason": row.reason,
        "lines": [
            {
                "sku": line.sku,
                "quantity": line.quantity,
                "amount": _decimal(line.amount_minor, currency),
            }
            for line in row.lines
        ],
        "evidence": list(row.evidence),
        "requested_by": _person(row.requested_by),
        "decided_by": None if row.decided_by is None else _person(row.decided_by),
        "rule": None if row.rule is None else row.rule.value,
        "rejection": rejection,
        "reference": row.reference,
        "failure": row.failure,
        "given_up": list(row.given_up),
        "saga_id": None if row.saga_status is None else row.id,
        "saga_status": None if row.saga_status is None else row.saga_status.value,
        "may": _may(row, actor),
        "created_at": shapes.time(row.created_at_us),
        "updated_at": shapes.time(row.updated_at_us),
        "position": row.position,
    }


def policy(state: RefundPolicy) -> dict[str, Any]:
    """How refunds in a currency are decided."""
    currency = state.id
    return {
        "currency": currency,
        "automatic_up_to": money.decimal(state.automatic_up_to_minor, currency),
        "four_eyes_above": money.decimal(state.four_eyes_above_minor, currency),
        "agent_daily": _decimal(state.agent_daily_minor, currency),
    }


def order(state: Order) -> dict[str, Any]:
    """What of an order is refunded, and what may be."""

    def shown(minor: int) -> str:
        return money.decimal(minor, state.currency)

    # Money that moved against all rules is counted beyond the total (`domain.order.order.hold`).
    return {
        "reference": state.reference,
        "total": shown(state.total_minor),
        "total_minor": state.total_minor,
        "currency": state.currency,
        "reserved": shown(sum(state.reserved.values())),
        "paid": shown(sum(state.paid.values())),
        "available": shown(max(0, state.available_minor)),
        "cancelled": state.cancelled,
        "cancellation_id": state.cancellation_id,
    }


def saga(row: SagaRow, now_us: int) -> dict[str, Any]:
    """A saga, as lists show it."""
    state = row.saga
    timer = state.timer
    return {
        "id": state.id,
        "definition": state.definition,
        "version": state.definition_version,
        "status": state.status.value,
        "step": current_step(state),
        "attempts": 0 if state.pending is None else state.pending.attempts,
        "conversation_id": state.conversation_id,
        "parked": _parked(state),
        "overdue": state.overdue,
        "next_timer_at": None if timer is None else shapes.time(timer.at_us),
        "started_at": shapes.time(row.started_at_us),
        "updated_at": shapes.time(row.updated_at_us),
        "age_s": max(0, now_us - row.started_at_us) // _SECOND_US,
    }


def whole_saga(
    life: SagaLife,
    definitions: Definitions,
    now_us: int,
    data: Callable[[RecordedEvent], Mapping[str, Any]],
) -> dict[str, Any]:
    """A saga with its steps, and everything that has happened to it."""
    state = life.saga
    try:
        definition = definitions.get(state.definition or "", state.definition_version)
        steps = progress(definition, state, life.events)
    except KeyError:  # a newer kefu started it: its events tell all the same
        steps = ()
    return {
        **saga(SagaRow(state, life.started_us, life.updated_us), now_us),
        "steps": [msgspec.to_builtins(step) for step in steps],
        "timeline": [_happened(step, data) for step in life.timeline],
    }


def definition(found: Definition) -> dict[str, Any]:
    """What a saga is made of, and how it looks."""
    return {
        "name": found.name,
        "version": found.version,
        "steps": [_step(step) for step in found.steps],
        "after_failure": [_step(step) for step in found.after_failure],
        "mermaid": diagram.mermaid(found),
        "svg": diagram.svg(found),
    }


def _may(row: RefundRow, actor: Actor) -> dict[str, bool]:
    """Of the day's limit, which only the core knows, nothing is said here."""
    decides = actor.kind is ActorKind.AGENT and actor.writes_as_staff
    open_ = decides and row.status is RefundStatus.REQUESTED
    asked = row.requested_by
    own = (asked.kind, asked.id) == (actor.kind.value, actor.id)
    four_eyes = row.policy.rule_for(row.amount_minor) is ApprovalRule.FOUR_EYES
    return {"approve": open_ and not (own and four_eyes), "reject": open_}


def _person(found: Person) -> dict[str, str]:
    return {"kind": found.kind, "id": found.id, "name": found.name}


def _decimal(minor: int | None, currency: str) -> str | None:
    return None if minor is None else money.decimal(minor, currency)


def _parked(state: Saga) -> dict[str, Any] | None:
    if state.parked is None:
        return None
    return {
        "reason": state.parked.reason.value,
        "detail": state.parked.detail,
        "next_actions": [action.value for action in state.parked.next_actions],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "operation": step.operation,
        "kind": step.kind.value,
        "undo": step.undo,
    }


def _happened(
    step: LifeEvent, data: Callable[[RecordedEvent], Mapping[str, Any]]
) -> dict[str, Any]:
    recorded, metadata = step.recorded, step.metadata
    fields = {name: value for name, value in data(recorded).items() if name != "type"}
    return {
        "at": shapes.time(recorded.recorded_us),
        "position": recorded.position,
        "type": recorded.type,
        "text": event_texts.words(step),
        "actor": {
            "kind": metadata.actor_kind.value,
            "id": metadata.actor_id,
            "name": step.actor_name,
        },
        "data": fields,
    }
