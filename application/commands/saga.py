"""What the effect worker, callbacks, timers and operators tell sagas.

A saga's events and what follows from them for refunds and orders are one atomic batch.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from application.commands.unit_of_work import UnitOfWork
from application.sagas import cancellation, engine, operator, refund
from application.sagas.definition import Data, Definition
from application.sagas.outcome import CallOutcome
from domain.actors import Actor, ActorKind, Role, require_staff
from domain.errors import Forbidden, InfrastructureError, InvalidInput, SagaNotFound
from domain.order import order as orders
from domain.order.events import OrderEvent
from domain.refund import refund as refunds
from domain.saga import saga as sagas
from domain.saga.events import (
    CallReversed,
    CallSucceeded,
    OperatorActed,
    OperatorAction,
    ParkReason,
    SagaEvent,
    SagaFinished,
    SagaOutcome,
    SagaParked,
)
from domain.saga.state import Saga


class SagaDefinitionUnknown(InfrastructureError):
    """A newer kefu started the saga."""

    code = "saga-definition-unknown"

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"This kefu does not know version {version} of the saga {name!r}; start the newer one."
        )


class ReportOutcome(msgspec.Struct, frozen=True, tag=True):
    """What a call came to. Answer: `saga_id`, `status`."""

    saga_id: str
    key: str
    attempt: int | None
    """From 1; 0: the answer to a question; None: a callback."""
    outcome: CallOutcome


class FireTimer(msgspec.Struct, frozen=True, tag=True):
    """A saga's timer is due. Answer: `saga_id`, `status`."""

    saga_id: str
    timer_id: str


class OperateSaga(msgspec.Struct, frozen=True, tag=True):
    """A person decides about a parked saga. Answer: `saga_id`, `status`."""

    saga_id: str
    action: OperatorAction
    reason: str
    reference: str | None = None


def start_saga(
    uow: UnitOfWork, name: str, saga_id: str, data: Data, conversation_id: str | None
) -> None:
    """Begin one with the newest version of its definition; one that has begun goes on as it is.

    Raises:
        InvalidInput: the id is that of another definition's saga.
    """
    saga = uow.load(sagas.DECIDER, saga_id)
    if saga.definition not in (None, name):
        raise InvalidInput(f"{saga_id} belongs to a {saga.definition}; choose a new id.")
    definition = uow.definitions.newest(name)
    events = engine.start(definition, saga, data, conversation_id, uow.now_us)
    uow.stage(sagas.DECIDER, saga_id, events)


def report_outcome(uow: UnitOfWork, command: ReportOutcome, actor: Actor) -> dict[str, Any]:
    """The effect worker, and callbacks whose signature is good."""
    _require_system(actor)
    definition, saga = _load(uow, command.saga_id)
    events = engine.record(
        definition, saga, command.key, command.attempt, command.outcome, uow.now_us
    )
    return _stage(uow, saga, events)


def fire_timer(uow: UnitOfWork, command: FireTimer, actor: Actor) -> dict[str, Any]:
    """The effect worker; the core's clock decides whether it is due."""
    _require_system(actor)
    definition, saga = _load(uow, command.saga_id)
    events = engine.fire(definition, saga, command.timer_id, uow.now_us)
    return _stage(uow, saga, events)


def operate_saga(uow: UnitOfWork, command: OperateSaga, actor: Actor) -> dict[str, Any]:
    """Administrators; an agent may say `retry`, unless that would pay what came back anew."""
    require_staff(actor)
    definition, saga = _load(uow, command.saga_id)
    reverses = saga.parked is not None and saga.parked.reason is ParkReason.REVERSED
    may_retry = command.action is OperatorAction.RETRY and not reverses
    if not may_retry and not _is_admin(actor):
        raise Forbidden("Only an administrator may decide this; an agent may retry.")
    events = operator.operate(
        definition, saga, command.action, command.reason, command.reference, uow.now_us
    )
    return _stage(uow, saga, events)


def _load(uow: UnitOfWork, saga_id: str) -> tuple[Definition, Saga]:
    saga = uow.load(sagas.DECIDER, saga_id)
    if saga.definition is None:
        raise SagaNotFound(saga_id)
    try:
        return uow.definitions.get(saga.definition, saga.definition_version), saga
    except KeyError:
        raise SagaDefinitionUnknown(saga.definition, saga.definition_version) from None


def _stage(uow: UnitOfWork, saga: Saga, events: tuple[SagaEvent, ...]) -> dict[str, Any]:
    uow.stage(sagas.DECIDER, saga.id, events)
    after = uow.load(sagas.DECIDER, saga.id)
    follow = _FOLLOWERS.get(saga.definition or "")
    if follow is not None:
        for event in events:
            follow(uow, after, event)
    return {"saga_id": saga.id, "status": after.status.value}


def _refund_follows(uow: UnitOfWork, saga: Saga, event: SagaEvent) -> None:
    """What a refund's process means for the refund and its order."""
    state = uow.load(refunds.DECIDER, saga.id)
    order = uow.load(orders.DECIDER, orders.order_id(state.order_reference))
    match event:
        case CallSucceeded(key=key, reference=reference) if _is_pivot(saga, key, refund.PIVOT):
            uow.stage(refunds.DECIDER, saga.id, refunds.settle(state, reference))
            uow.stage(orders.DECIDER, order.id, orders.pay(order, saga.id, state.amount_minor))
        case CallReversed(code=code):
            uow.stage(refunds.DECIDER, saga.id, refunds.reverse(state, code))
            uow.stage(orders.DECIDER, order.id, orders.reverse(order, saga.id))
        case SagaFinished(outcome=outcome, given_up=given_up):
            completed = outcome is SagaOutcome.COMPLETED
            done = refunds.finish(state, completed=completed, code=saga.failure, given_up=given_up)
            uow.stage(refunds.DECIDER, saga.id, done)
            if not completed:
                uow.stage(orders.DECIDER, order.id, orders.release(order, saga.id))
        case SagaParked(reason=ParkReason.CONTRADICTED):
            # Until a person has looked, nobody else gets this money.
            uow.stage(orders.DECIDER, order.id, orders.hold(order, saga.id, state.amount_minor))
        case OperatorActed(action=OperatorAction.SKIP) if saga.outcome is not None:
            uow.stage(orders.DECIDER, order.id, orders.release(order, saga.id))


def _cancellation_follows(uow: UnitOfWork, saga: Saga, event: SagaEvent) -> None:
    """What a cancellation's process means for the order."""
    order = uow.load(orders.DECIDER, orders.order_id(str(saga.data["order_reference"])))
    match event:
        case CallSucceeded(key=key) if _is_pivot(saga, key, cancellation.PIVOT):
            uow.stage(orders.DECIDER, order.id, _cancelled(order, saga, True))
        case SagaFinished(outcome=SagaOutcome.COMPENSATED):
            uow.stage(orders.DECIDER, order.id, _cancelled(order, saga, False))


def _cancelled(order: orders.Order, saga: Saga, done: bool) -> tuple[OrderEvent, ...]:
    return orders.finish_cancellation(order, saga.id, cancelled=done)


def _is_pivot(saga: Saga, key: str, pivot: str) -> bool:
    return saga.calls[key].step == pivot


def _require_system(actor: Actor) -> None:
    if actor.kind is not ActorKind.SYSTEM:
        raise Forbidden


def _is_admin(actor: Actor) -> bool:
    return actor.role is Role.ADMIN or actor.kind is ActorKind.SYSTEM


_FOLLOWERS: Final[Mapping[str, Callable[[UnitOfWork, Saga, SagaEvent], None]]] = {
    refund.NAME: _refund_follows,
    cancellation.NAME: _cancellation_follows,
}
"""Definition -> what its events mean for aggregates; docs/howto/add-a-saga.md."""
