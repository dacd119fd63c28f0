"""Who may tell a saga what, and what its events mean for the refund and its order."""

import uuid
from typing import Any

import pytest

from application.commands.cancellation import CancelOrder
from application.commands.order import RegisterOrder
from application.commands.refund import ApproveRefund, RequestRefund
from application.commands.saga import FireTimer, OperateSaga, ReportOutcome
from application.sagas.outcome import CallOutcome, OutcomeKind
from domain.actors import SYSTEM, Actor, Role
from domain.errors import Forbidden, InvalidInput, SagaNotFound
from domain.saga.events import OperatorAction
from tests.application.conftest import Driver

DONE = CallOutcome(OutcomeKind.SUCCEEDED, "ref")
NO = CallOutcome(OutcomeKind.DECLINED, code="account-closed")


class Refund:
    """An approved refund, told outcomes by the system."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.id = str(uuid.uuid4())

    async def begin(self) -> None:
        visitor = await self.driver.visitor()
        self.visitor = visitor
        self.agent, self.admin = await self.driver.agent(), await self.driver.agent(Role.ADMIN)
        self.auditor = await self.driver.agent(Role.AUDITOR)
        await self.driver.execute(RegisterOrder("A-1", 1_000, "CNY"))
        request = RequestRefund(self.id, visitor.conversation_id or "", "A-1", 400, "CNY", "why")
        await self.driver.execute(request, self.agent)
        await self.driver.execute(ApproveRefund(self.id), self.admin)

    async def told(self, step: str, outcome: CallOutcome) -> str:
        report = ReportOutcome(self.id, f"refund-{self.id}-{step}-1", None, outcome)
        return str((await self.driver.execute(report)).result["status"])

    async def operate(self, actor: Actor, action: OperatorAction) -> str:
        command = OperateSaga(self.id, action, "looked into it", "ref-2")
        return str((await self.driver.execute(command, actor)).result["status"])

    def types(self, stream: str) -> list[str]:
        return [one.type for one in self.driver.log.read_stream(stream)]


@pytest.fixture
async def refund(driver: Driver) -> Refund:
    found = Refund(driver)
    await found.begin()
    return found


async def test_only_the_system_reports_outcomes_and_fires_timers(refund: Refund) -> None:
    key = f"refund-{refund.id}-inventory-1"
    commands: list[Any] = [
        ReportOutcome(refund.id, key, None, DONE),
        FireTimer(refund.id, f"{key}#0"),
    ]
    for command in commands:
        for actor in (refund.agent, refund.admin, refund.auditor, refund.visitor):
            with pytest.raises(Forbidden):
                await refund.driver.execute(command, actor)
        await refund.driver.execute(command, SYSTEM)


async def test_what_was_paid_and_came_back_is_paid_anew_only_by_an_administrator(
    refund: Refund,
) -> None:
    await refund.told("inventory", DONE)
    await refund.told("payment", DONE)
    assert await refund.told("payment", NO) == "parked"
    for actor in (refund.agent, refund.auditor, refund.visitor):
        with pytest.raises(Forbidden):
            await refund.operate(actor, OperatorAction.RETRY)
    assert await refund.operate(refund.admin, OperatorAction.RETRY) == "running"


async def test_an_agent_may_retry_what_was_refused_and_skip_nothing(refund: Refund) -> None:
    await refund.told("inventory", DONE)
    await refund.told("payment", DONE)
    assert await refund.told("posting", NO) == "parked"
    with pytest.raises(Forbidden):
        await refund.operate(refund.agent, OperatorAction.SKIP)
    assert await refund.operate(refund.agent, OperatorAction.RETRY) == "running"


async def test_a_payment_and_what_it_means_for_the_order_are_one_batch(refund: Refund) -> None:
    await refund.told("inventory", DONE)
    before = refund.driver.log.durable_position
    await refund.told("payment", DONE)
    together = [one.type for one in refund.driver.log.read(before, 10)]
    assert together == [
        "saga.call_succeeded.v1",
        "saga.call_intended.v1",
        "refund.settled.v1",
        "order.amount_paid.v1",
    ]


async def test_a_report_about_no_saga_is_refused(driver: Driver) -> None:
    id = str(uuid.uuid4())
    with pytest.raises(SagaNotFound):
        await driver.execute(ReportOutcome(id, f"refund-{id}-payment-1", None, DONE))


async def test_money_that_moved_after_a_refusal_is_held_until_a_person_has_looked(
    refund: Refund,
) -> None:
    await refund.told("inventory", DONE)
    await refund.told("payment", NO)
    undo = ReportOutcome(refund.id, f"refund-{refund.id}-inventory-1-undo", None, DONE)
    await refund.driver.execute(undo)
    await refund.told("failure_notice", DONE)
    order = next(
        one.stream for one in refund.driver.log.read(0, 1_000) if one.type == "order.registered.v1"
    )
    assert refund.types(order)[-1] == "order.amount_released.v1"
    assert await refund.told("payment", DONE) == "parked"
    assert refund.types(order)[-1] == "order.amount_reserved.v1"
    assert await refund.operate(refund.admin, OperatorAction.MARK_SETTLED) == "running"
    assert refund.types(order)[-1] == "order.amount_paid.v1"


async def test_a_cancellation_that_is_repeated_begins_nothing_even_after_it_failed(
    driver: Driver,
) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    await driver.execute(RegisterOrder("A-2", 1_000, "CNY"))
    id = str(uuid.uuid4())
    command = CancelOrder(id, "A-2", visitor.conversation_id or "")
    await driver.execute(command, agent)
    for step in ("shipment", "failure_notice"):
        report = ReportOutcome(id, f"cancellation-{id}-{step}-1", None, NO)
        await driver.execute(report)
    before = driver.log.durable_position
    answer = (await driver.execute(command, agent)).result
    assert (answer["status"], driver.log.durable_position) == ("compensated", before)
    another = CancelOrder(str(uuid.uuid4()), "A-2", visitor.conversation_id or "")
    assert (await driver.execute(another, agent)).result["status"] == "running"


async def test_an_id_that_belongs_to_another_process_is_refused_and_nothing_is_written(
    refund: Refund,
) -> None:
    await refund.driver.execute(RegisterOrder("A-2", 1_000, "CNY"))
    before = refund.driver.log.durable_position
    command = CancelOrder(refund.id, "A-2", refund.visitor.conversation_id or "")
    with pytest.raises(InvalidInput):
        await refund.driver.execute(command, refund.agent)
    assert refund.driver.log.durable_position == before
