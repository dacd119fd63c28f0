"""The effect worker over a real log and the real commands, with participants that misbehave."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from application.commands.order import RegisterOrder
from application.commands.refund import ApproveRefund, RequestRefund
from application.ports.core import Receipt, Request
from application.queries.streams import CoreStreams
from application.sagas import worker as worker_module
from application.sagas.breaker import Breaker
from application.sagas.outcome import CallOutcome, OutcomeKind
from application.sagas.unconfigured import UnconfiguredParticipant
from application.sagas.worker import SagaWorker
from domain.actors import Role
from domain.errors import Unavailable
from domain.saga import saga as sagas
from domain.saga.state import Saga, Status
from infrastructure.eventlog.reader import LogReader
from infrastructure.sagas.checkpoint import CheckpointFile
from tests.application.conftest import Driver

DONE = CallOutcome(OutcomeKind.SUCCEEDED, "ref")


class FakeParticipant:
    """A fake that does what a test says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[str, str], CallOutcome] = lambda kind, op: DONE) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        self.asked.append(("call", operation))
        return self.answer("call", operation)

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        self.asked.append(("look_up", operation))
        return self.answer("look_up", operation)


class DyingCore:
    """A core that answers some commands only after so many failures."""

    def __init__(self, inner: Any, failures: int) -> None:
        self.inner = inner
        self.failures = failures

    async def execute(self, request: Request) -> Receipt:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the core is down")
        receipt: Receipt = await self.inner.execute(request)
        return receipt

    async def query(self, query: Any) -> Any:
        return await self.inner.query(query)


class Refund:
    """One that is approved, and its worker."""

    def __init__(self, driver: Driver, directory: Path) -> None:
        self.driver = driver
        self.directory = directory
        self.id = str(uuid.uuid4())

    async def begin(self) -> None:
        driver = self.driver
        visitor = await driver.visitor()
        alice, bob = await driver.agent(), await driver.agent(Role.ADMIN)
        await driver.execute(RegisterOrder("A-1", 1_000, "CNY"))
        request = RequestRefund(self.id, visitor.conversation_id or "", "A-1", 400, "CNY", "why")
        await driver.execute(request, alice)
        await driver.execute(ApproveRefund(self.id), bob)

    @asynccontextmanager
    async def worker(
        self, participants: Mapping[str, Any], core: Any = None
    ) -> AsyncIterator[SagaWorker]:
        core = core or self.driver.bus
        with contextlib.closing(LogReader(self.directory)) as feed:
            checkpoint = CheckpointFile(self.directory.parent / "sagas.json", "log")
            worker = SagaWorker(
                feed, core, CoreStreams(core), participants, checkpoint, self.driver.clock
            )
            stop = asyncio.Event()
            task = asyncio.create_task(worker.run(stop))
            try:
                yield worker
            finally:
                stop.set()
                await asyncio.wait_for(task, 10)

    def state(self) -> Saga:
        from functools import reduce

        from application import codec

        stored = self.driver.log.read_stream(f"saga-{self.id}")
        events = [codec.decode(one.type, one.payload) for one in stored]
        return reduce(sagas.evolve, events, Saga(self.id))  # type: ignore[arg-type]

    async def until(self, condition: Callable[[Saga], bool]) -> Saga:
        for _ in range(1_000):
            if condition(self.state()):
                return self.state()
            await asyncio.sleep(0.01)
        raise AssertionError(self.state())


@pytest.fixture
async def refund(driver: Driver, tmp_path: Path) -> Refund:
    found = Refund(driver, tmp_path / "log")
    await found.begin()
    return found


def everybody(one: FakeParticipant) -> dict[str, FakeParticipant]:
    return dict.fromkeys(("erp", "payment", "conversation"), one)


async def test_it_makes_each_call_once_and_in_order(refund: Refund) -> None:
    # It finds the first intent in the log, made before it began: so it asks before it calls.
    one = FakeParticipant(
        lambda kind, _: CallOutcome(OutcomeKind.NOT_FOUND) if kind == "look_up" else DONE
    )
    async with refund.worker(everybody(one)):
        await refund.until(lambda saga: saga.status is Status.COMPLETED)
    assert one.asked == [
        ("look_up", "erp.authorise_return"),
        ("call", "erp.authorise_return"),
        ("call", "payment.refund"),
        ("call", "erp.post_refund"),
        ("call", "conversation.notify"),
    ]


async def test_what_a_worker_before_it_may_have_called_is_not_called_again(
    refund: Refund,
) -> None:
    one = FakeParticipant()
    async with refund.worker(everybody(one)):
        await refund.until(lambda saga: saga.status is Status.COMPLETED)
    assert ("call", "erp.authorise_return") not in one.asked


async def test_a_bug_in_an_adapter_is_an_unknown_outcome_of_one_call(refund: Refund) -> None:
    def answer(kind: str, operation: str) -> CallOutcome:
        if operation == "payment.refund" and kind == "call":
            raise ZeroDivisionError("a bug, with a secret in its text")
        return DONE

    async with refund.worker(everybody(FakeParticipant(answer))):
        saga = await refund.until(lambda saga: saga.status is Status.UNKNOWN)
        assert saga.pending is not None
        refund.driver.clock.us += 10_000_000
        await refund.until(lambda saga: saga.status is Status.COMPLETED)
    stored = refund.driver.log.read_stream(f"saga-{refund.id}")
    assert not any(b"secret" in one.payload for one in stored)


async def test_an_outcome_is_told_until_the_core_has_it(refund: Refund) -> None:
    core = DyingCore(refund.driver.bus, failures=6)
    one = FakeParticipant()
    async with refund.worker(everybody(one), core):
        await refund.until(lambda saga: saga.status is Status.COMPLETED)
    assert core.failures == 0
    assert len(one.asked) == 4


async def test_a_participant_whose_breaker_is_open_is_not_called(
    refund: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = FakeParticipant(lambda kind, _: CallOutcome(OutcomeKind.NOT_EXECUTED, code="down"))
    async with refund.worker(everybody(down)) as worker:
        breaker: Breaker = worker.stats.breakers["erp"]
        for _ in range(20):
            breaker.record(OutcomeKind.UNKNOWN)
        asked = len(down.asked)
        refund.driver.clock.us += 10_000_000
        await refund.until(
            lambda saga: saga.pending is not None and saga.pending.phase.value == "ready"
        )
        assert len(down.asked) == asked


async def test_a_second_worker_begins_where_the_first_one_stopped(refund: Refund) -> None:
    slow = FakeParticipant(lambda kind, _: CallOutcome(OutcomeKind.NOT_EXECUTED, code="down"))
    async with refund.worker(everybody(slow)):
        await refund.until(lambda saga: saga.pending is not None and saga.pending.attempts > 0)
    attempts = refund.state().pending
    assert attempts is not None
    async with refund.worker(everybody(FakeParticipant())) as worker:
        refund.driver.clock.us += 10_000_000
        await refund.until(lambda saga: saga.status is Status.COMPLETED)
        for _ in range(1_000):
            if not worker.stats.open_sagas.all:
                break
            await asyncio.sleep(0.01)
        assert worker.stats.open_sagas.all == {}


async def test_a_participant_that_nobody_has_set_up_trips_no_breaker(
    refund: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "Breaker", partial(Breaker, threshold=2))
    nobody = UnconfiguredParticipant("KEFU_ERP_URL")
    everyone: dict[str, Any] = dict.fromkeys(("erp", "payment", "conversation"), nobody)
    async with refund.worker(everyone) as worker:
        for attempts in range(1, 5):
            await refund.until(
                lambda saga, n=attempts: saga.pending is not None and saga.pending.attempts >= n
            )
            refund.driver.clock.us += 10_000_000
        assert worker.stats.breakers["erp"].opened == 0
