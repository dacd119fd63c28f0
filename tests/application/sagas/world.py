"""A whole world in one process, in which everything that may go wrong does, by a seed.

The commands, the engine and the fold are the real ones. The network, the participants, the worker's
memory and the clock are simulated, so that thousands of interleavings run in seconds; the same
rules over real processes are in tests/faults/test_refund_matrix.py.
"""

import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from application import codec
from application.commands.access import StartVisitorSession
from application.commands.order import RegisterOrder
from application.commands.refund import ApproveRefund, RequestRefund
from application.commands.registry import HANDLERS
from application.commands.saga import FireTimer, OperateSaga, ReportOutcome
from application.commands.state_cache import StateCache
from application.commands.unit_of_work import UnitOfWork
from application.ports.event_store import RecordedEvent
from application.sagas.outcome import CallOutcome, OutcomeKind
from application.sagas.worker import _to_do
from domain.actors import SYSTEM, Actor, ActorKind, Role
from domain.errors import DomainError
from domain.order import order as orders
from domain.refund import refund as refunds
from domain.saga import saga as sagas
from domain.saga.events import OperatorAction, ParkReason
from domain.saga.state import TERMINAL, PendingCall, Phase, Saga

METADATA = codec.encode_metadata(codec.Metadata(ActorKind.SYSTEM, "system", "simulation"))
ALICE = Actor(ActorKind.AGENT, "alice", "Alice", Role.AGENT)
BOB = Actor(ActorKind.AGENT, "bob", "Bob", Role.ADMIN)


class MemoryLog:
    """Streams as stored bytes; what a core that starts again reads."""

    def __init__(self) -> None:
        self.streams: dict[str, list[RecordedEvent]] = {}
        self.position = 0

    def read_stream(self, stream: str, **_: Any) -> list[RecordedEvent]:
        return self.streams.get(stream, [])

    def append(self, uow: UnitOfWork, now_us: int) -> None:
        for one in uow.appends(METADATA):
            events = self.streams.setdefault(one.stream, [])
            assert len(events) - 1 == one.expected_version
            for event in one.events:
                self.position += 1
                events.append(
                    RecordedEvent(
                        position=self.position,
                        stream=one.stream,
                        version=len(events),
                        type=event.type,
                        recorded_us=now_us,
                        metadata=event.metadata,
                        payload=event.payload,
                    )
                )


@dataclass
class Operation:
    """What a participant has done under one key."""

    status: str
    reference: str
    at_us: int
    operation: str
    refund_id: str
    order: str = ""
    amount: int = 0


@dataclass
class SimulatedProvider:
    """Payment and ERP with a ledger: idempotent by key, with DTM's barrier, and nothing else."""

    random: Random
    done: dict[str, Operation] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    """Keys whose compensation came first."""
    executed: Counter[str] = field(default_factory=Counter)
    callbacks: list[tuple[str, CallOutcome]] = field(default_factory=list)
    clock_us: int = 1

    def call(self, operation: str, key: str, body: bytes) -> CallOutcome:
        self.clock_us += 1
        if key in self.blocked:
            return CallOutcome(OutcomeKind.DECLINED, code="already-compensated")
        known = self.done.get(key)
        if known is None:
            known = self._do(operation, key, json.loads(body))
        return self._answer(known)

    def _do(self, operation: str, key: str, body: dict[str, Any]) -> Operation:
        self.executed[key] += 1
        reference = f"ref-{len(self.done)}"
        draw = self.random.random()
        if "action_key" in body:
            action = self.done.get(body["action_key"])
            if action is None:
                self.blocked.add(body["action_key"])
            elif action.status == "succeeded":
                action.status = "undone"
            done = Operation("succeeded", reference, self.clock_us, operation, body["refund_id"])
        elif operation == "payment.refund":
            status = "failed" if draw < 0.1 else "pending" if draw < 0.4 else "succeeded"
            done = Operation(
                status,
                reference,
                self.clock_us,
                operation,
                body["refund_id"],
                body["order_reference"],
                body["amount_minor"],
            )
        else:
            refuses = operation == "erp.authorise_return" and draw < 0.05
            status = "failed" if refuses else "succeeded"
            done = Operation(status, reference, self.clock_us, operation, body["refund_id"])
        self.done[key] = done
        return done

    def settle(self) -> None:
        """Something that was pending is decided, or something paid comes back."""
        pending = [key for key, one in self.done.items() if one.status == "pending"]
        paid = [key for key, one in self.done.items() if one.amount and one.status == "succeeded"]
        self.clock_us += 1
        times = [0, 1, 1, 2]
        if pending:
            key = self.random.choice(pending)
            self.done[key].status = self.random.choice(["succeeded", "succeeded", "failed"])
        elif paid and self.random.random() < 0.1:
            key = self.random.choice(paid)
            self.done[key].status = "failed"
            times = [1, 2]  # nobody asks for what was paid: this callback comes at least once
        else:
            return
        self.done[key].at_us = self.clock_us
        outcome = self._answer(self.done[key])
        self.callbacks += [(key, outcome)] * self.random.choice(times)

    def look_up(self, key: str) -> CallOutcome:
        known = self.done.get(key)
        return CallOutcome(OutcomeKind.NOT_FOUND) if known is None else self._answer(known)

    def _answer(self, one: Operation) -> CallOutcome:
        match one.status:
            case "pending":
                return CallOutcome(OutcomeKind.ACCEPTED, one.reference, at_us=one.at_us)
            case "failed":
                return CallOutcome(OutcomeKind.DECLINED, code="refused", at_us=one.at_us)
            case _:
                return CallOutcome(OutcomeKind.SUCCEEDED, one.reference, at_us=one.at_us)

    def payouts(self, order: str) -> int:
        return sum(
            one.amount
            for one in self.done.values()
            if one.order == order and one.status in ("succeeded", "pending")
        )

    def paid(self, refund_id: str) -> list[str]:
        return self.live(refund_id, "payment.refund")

    def live(self, refund_id: str, operation: str) -> list[str]:
        """Keys under which it was done and not undone."""
        return [
            key
            for key, one in self.done.items()
            if (one.refund_id, one.operation, one.status) == (refund_id, operation, "succeeded")
        ]


@dataclass
class Sent:
    """A request in the network, or with a worker that waits for its answer."""

    saga_id: str
    todo: PendingCall
    question: bool
    worker: int
    """The incarnation that sent it: a later one does not hear the answer."""
    then_call: bool = False


class World:
    """One order after the other, several refunds each, and no peace."""

    def __init__(self, seed: int, refund_count: int) -> None:
        self.random = Random(seed)
        self.log = MemoryLog()
        self.cache = StateCache()
        self.provider = SimulatedProvider(self.random)
        self.now_us = 1_700_000_000_000_000
        self.worker = 1
        self.network: list[Sent] = []
        self.busy: set[tuple[str, str, int]] = set()
        self.doubtful: set[str] = set()
        self.late_reports: list[ReportOutcome] = []
        self.old_timers: list[FireTimer] = []
        self.refund_ids: list[str] = []
        self.totals: dict[str, int] = {}
        self._begin(refund_count)

    # -- commands ---------------------------------------------------------------------------

    def execute(self, command: Any, actor: Actor = SYSTEM) -> dict[str, Any]:
        uow = UnitOfWork(self.log, self.cache, self.now_us)  # type: ignore[arg-type]
        answer = HANDLERS[type(command)](uow, command, actor)
        self.log.append(uow, self.now_us)
        uow.commit_to_cache()
        return answer

    def state(self, decider: Any, id: str) -> Any:
        return UnitOfWork(self.log, self.cache, self.now_us).load(decider, id)  # type: ignore[arg-type]

    def saga(self, id: str) -> Saga:
        return self.state(sagas.DECIDER, id)  # type: ignore[no-any-return]

    def _begin(self, refund_count: int) -> None:
        session = StartVisitorSession("token", self.now_us + 10**15, "contact", "conversation")
        self.execute(session)
        for number in range(1, 1 + (refund_count + 2) // 3):
            total = self.random.randrange(100, 1000)
            self.totals[f"A-{number}"] = total
            self.execute(RegisterOrder(f"A-{number}", total, "CNY"))
        while len(self.refund_ids) < refund_count:
            order = self.random.choice(list(self.totals))
            id = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
            amount = self.random.randrange(1, self.totals[order] + 1)
            try:
                self.execute(RequestRefund(id, "conversation", order, amount, "CNY", "why"), ALICE)
            except DomainError:
                amount = max(1, self.state(orders.DECIDER, orders.order_id(order)).available_minor)
                try:
                    request = RequestRefund(id, "conversation", order, amount, "CNY", "why")
                    self.execute(request, ALICE)
                except DomainError:
                    del self.totals[order]
                    fresh = f"B-{len(self.refund_ids)}-{self.random.random()}"
                    self.totals[fresh] = 500
                    self.execute(RegisterOrder(fresh, 500, "CNY"))
                    continue
            self.refund_ids.append(id)
            if self.random.random() < 0.8:
                self.execute(ApproveRefund(id), BOB)

    # -- what may happen --------------------------------------------------------------------

    def step(self) -> None:
        """Something happens."""
        choices = (
            (8, self.worker_sends),
            (8, self.network_delivers),
            (1, self.network_repeats),
            (1, self.worker_gives_up),
            (1, self.worker_dies),
            (1, self.core_dies),
            (6, self.time_passes),
            (0.1, self.clock_jumps),
            (4, self.timers_fire),
            (1, self.old_news),
            (3, self.provider.settle),
            (2, self.callback_arrives),
            (1, self.operator_acts),
            (1, self.somebody_approves),
        )
        weights, actions = zip(*choices, strict=True)
        self.random.choices(actions, weights)[0]()

    def worker_sends(self) -> None:
        for id in self.random.sample(self.refund_ids, len(self.refund_ids)):
            todo = _to_do(self.saga(id))
            if todo is None or (id, todo.key, todo.facts) in self.busy:
                continue
            self.busy.add((id, todo.key, todo.facts))
            asking = todo.phase is Phase.ASKING
            doubtful = todo.key in self.doubtful
            self.network.append(Sent(id, todo, asking or doubtful, self.worker, not asking))
            return

    def network_delivers(self) -> None:
        if not self.network:
            return
        sent = self.network.pop(self.random.randrange(len(self.network)))
        if self.random.random() < 0.1:
            if sent.worker == self.worker:
                self._report(sent, CallOutcome(OutcomeKind.UNKNOWN, code="time-out"))
            return
        if sent.question:
            outcome = self.provider.look_up(sent.todo.key)
        elif self.random.random() < 0.1:
            outcome = CallOutcome(OutcomeKind.NOT_EXECUTED, code="refused")
        elif sent.todo.operation == "conversation.notify":
            outcome = CallOutcome(OutcomeKind.SUCCEEDED, "message")
        else:
            outcome = self.provider.call(
                sent.todo.operation, sent.todo.key, sent.todo.body.encode()
            )
        if self.random.random() < 0.15:
            outcome = CallOutcome(OutcomeKind.UNKNOWN, code="answer-lost")
        if sent.worker == self.worker:
            self._report(sent, outcome)

    def network_repeats(self) -> None:
        """A request comes twice, the second time long after its sender has given up."""
        if self.network:
            sent = self.random.choice(self.network)
            self.network.append(Sent(sent.saga_id, sent.todo, sent.question, 0))

    def worker_gives_up(self) -> None:
        """A time-out; the request stays on its way, a hanging action."""
        mine = [sent for sent in self.network if sent.worker == self.worker]
        if mine:
            sent = self.random.choice(mine)
            self._report(sent, CallOutcome(OutcomeKind.UNKNOWN, code="time-out"))
            sent.worker = 0

    def worker_dies(self) -> None:
        self.worker += 1
        self.busy.clear()
        todos = [_to_do(self.saga(id)) for id in self.refund_ids]
        self.doubtful = {one.key for one in todos if one is not None and one.phase is Phase.READY}

    def core_dies(self) -> None:
        """Its memory is gone; the worker sends again what it had no answer to."""
        self.cache = StateCache()
        for command in self.late_reports[-3:]:
            self.execute(command)

    def time_passes(self) -> None:
        self.now_us += self.random.choice([1, 5, 20, 60]) * 1_000_000

    def clock_jumps(self) -> None:
        self.now_us += self.random.choice([4_000, 100_000, -100_000]) * 1_000_000

    def timers_fire(self) -> None:
        for id in self.refund_ids:
            timer = self.saga(id).timer
            if timer is not None and timer.at_us <= self.now_us:
                command = FireTimer(id, timer.id)
                self.old_timers.append(command)
                for _ in range(self.random.choice([1, 1, 2])):
                    self.execute(command)

    def old_news(self) -> None:
        """Timers and reports of long ago come again."""
        if self.old_timers:
            self.execute(self.random.choice(self.old_timers))
        if self.late_reports:
            self.execute(self.random.choice(self.late_reports))

    def callback_arrives(self) -> None:
        waiting = self.provider.callbacks
        if waiting:
            at = self.random.randrange(len(waiting))
            key, outcome = waiting[at]
            if self.random.random() < 0.7:
                waiting.pop(at)
            self.execute(ReportOutcome(self._saga_of(key), key, None, outcome))

    def operator_acts(self) -> None:
        parked = [id for id in self.refund_ids if self.saga(id).parked is not None]
        if parked:
            self.operate(self.random.choice(parked))

    def operate(self, id: str, *, prefer_end: bool = False) -> None:
        """A person who looks into the provider's books before saying anything of money."""
        saga = self.saga(id)
        assert saga.parked is not None
        paid = self.provider.paid(id)
        actions = list(saga.parked.next_actions)
        if not paid:
            actions = [one for one in actions if one is not OperatorAction.MARK_SETTLED]
        elif saga.parked.reason is ParkReason.CONTRADICTED:
            actions = [OperatorAction.MARK_SETTLED]
        if prefer_end and OperatorAction.FORCE_COMPENSATE in actions:
            actions = [OperatorAction.FORCE_COMPENSATE]
        action = self.random.choice(actions)
        reference = self.provider.done[paid[0]].reference if paid else None
        self.execute(OperateSaga(id, action, "looked into it", reference), BOB)

    def somebody_approves(self) -> None:
        for id in self.refund_ids:
            if self.state(refunds.DECIDER, id).status is refunds.RefundStatus.REQUESTED:
                self.execute(ApproveRefund(id), BOB)
                return

    def _report(self, sent: Sent, outcome: CallOutcome) -> None:
        todo, asking = sent.todo, sent.todo.phase is Phase.ASKING
        if sent.question and not asking:
            if outcome.kind is OutcomeKind.NOT_FOUND:
                self.doubtful.discard(todo.key)
                self.network.append(Sent(sent.saga_id, todo, False, sent.worker))
                return
            if outcome.kind is OutcomeKind.NOT_EXECUTED:
                outcome = CallOutcome(OutcomeKind.UNKNOWN)
        attempt = 0 if asking else todo.attempts + 1
        report = ReportOutcome(sent.saga_id, todo.key, attempt, outcome)
        self.late_reports.append(report)
        self.execute(report)

    def _saga_of(self, key: str) -> str:
        return next(id for id in self.refund_ids if id in key)

    # -- the end ----------------------------------------------------------------------------

    def calm_down(self) -> None:
        """No more faults: everything that can end ends."""
        for _ in range(400):
            self.somebody_approves()
            while any(one.status == "pending" for one in self.provider.done.values()):
                self.provider.settle()
            while self.provider.callbacks:
                key, outcome = self.provider.callbacks.pop()
                self.execute(ReportOutcome(self._saga_of(key), key, None, outcome))
            for sent in self.network:
                sent.worker = 0
            for sent in self.network:
                if not sent.question and sent.todo.operation != "conversation.notify":
                    body = sent.todo.body.encode()
                    self.provider.call(sent.todo.operation, sent.todo.key, body)
            self.network.clear()
            self.worker_dies()
            for id in self.refund_ids:
                if (todo := _to_do(self.saga(id))) is not None:
                    self._in_peace(id, todo)
                elif self.saga(id).parked is not None:
                    self.operate(id, prefer_end=True)
            self.now_us += 3_600_000_000
            self.timers_fire()
            if all(self._is_over(id) for id in self.refund_ids) and not self.provider.callbacks:
                return
        raise AssertionError("it does not come to an end")

    def _in_peace(self, id: str, todo: PendingCall) -> None:
        outcome = self.provider.look_up(todo.key)
        attempt = 0 if todo.phase is Phase.ASKING else todo.attempts + 1
        if todo.operation == "conversation.notify" and todo.phase is not Phase.ASKING:
            outcome = CallOutcome(OutcomeKind.SUCCEEDED, "message")
        elif outcome.kind is OutcomeKind.NOT_FOUND and todo.phase is not Phase.ASKING:
            outcome = self.provider.call(todo.operation, todo.key, todo.body.encode())
        self.execute(ReportOutcome(id, todo.key, attempt, outcome))

    def _is_over(self, id: str) -> bool:
        status = self.state(refunds.DECIDER, id).status
        return status in (
            refunds.RefundStatus.REJECTED,
            refunds.RefundStatus.COMPLETED,
            refunds.RefundStatus.FAILED,
        ) and (self.saga(id).definition is None or self.saga(id).status in TERMINAL)
