"""The command bus: idempotency keys, back pressure, failures, people's commands."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from application.commands.access import EndSession, IssueApiKey, RevokeApiKey, StartAgentSession
from application.commands.agent import ChangeAgent, RegisterAgent, SetPassword
from application.commands.bus import CommandBus
from application.commands.contact import UpdateContact
from application.commands.conversation import AssignConversation, ChangeStatus, WakeConversation
from application.commands.message import SendMessage
from application.commands.state_cache import StateCache
from application.ports.core import Receipt, Request
from application.ports.event_store import IndexProgress, IndexRebuilding, StoreReadOnly
from application.queries.core import Authenticate, FindCredentials
from domain import errors
from domain.actors import SYSTEM, Actor, Role, Scope
from domain.conversation.conversation import Status
from infrastructure.eventlog.store import EventLog
from tests.application.conftest import Driver, SteppingClock


async def test_an_idempotency_key_gives_the_first_answer_for_ever(driver: Driver) -> None:
    visitor = await driver.visitor()
    command = SendMessage(visitor.conversation_id or "", "r", "hi")
    first = await driver.execute(command, visitor, key="k")
    end = driver.log.durable_position
    fresh = CommandBus(driver.log, driver.clock)
    fresh.start()
    again = await Driver(fresh, driver.log, driver.clock).execute(command, visitor, key="k")
    await fresh.close()
    assert (again, driver.log.durable_position) == (first, end)


async def test_an_idempotency_key_with_another_request_is_refused(driver: Driver) -> None:
    visitor = await driver.visitor()
    conversation = visitor.conversation_id or ""
    await driver.execute(SendMessage(conversation, "r", "hi"), visitor, key="k")
    with pytest.raises(errors.IdempotencyKeyReused):
        await driver.execute(SendMessage(conversation, "r2", "ho"), visitor, key="k")


async def test_a_status_change_is_repeated_by_its_key_not_by_its_effect(driver: Driver) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    resolve = ChangeStatus(visitor.conversation_id or "", Status.RESOLVED)
    first = await driver.execute(resolve, agent, key="k")
    await driver.execute(ChangeStatus(visitor.conversation_id or "", Status.OPEN), agent)
    assert await driver.execute(resolve, agent, key="k") == first


async def test_concurrent_uses_of_one_key_have_one_effect(driver: Driver) -> None:
    visitor = await driver.visitor()
    command = SendMessage(visitor.conversation_id or "", "r", "hi")
    receipts = await asyncio.gather(*(driver.execute(command, visitor, key="k") for _ in range(10)))
    assert len({r.position for r in receipts}) == 1


async def test_a_full_queue_answers_busy_and_queues_nothing(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path / "log")
    bus = CommandBus(log, SteppingClock(), queue_limit=2)
    request = Request(SendMessage("c", "r", "hi"), SYSTEM, "x")
    outcomes: list[Receipt | Exception] = []
    for _ in range(2):
        bus.submit(request, outcomes.append)
    with pytest.raises(errors.Busy):
        bus.submit(request, outcomes.append)
    bus.start()
    await bus.close()
    assert [type(outcome) for outcome in outcomes] == [errors.ConversationNotFound] * 2
    log.close()


async def test_a_stopping_bus_finishes_what_it_took_and_refuses_more(driver: Driver) -> None:
    visitor = await driver.visitor()
    command = SendMessage(visitor.conversation_id or "", "r", "hi")
    outcomes: list[Any] = []
    driver.bus.submit(Request(command, visitor, "x"), outcomes.append)
    await driver.bus.close()
    assert [outcome.result["seq"] for outcome in outcomes] == [1]
    with pytest.raises(errors.Unavailable):
        driver.bus.submit(Request(command, visitor, "x"), outcomes.append)


class FailsOnceStore:
    """A fake for failure only: the real log, but one append is refused by the machine."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.fail_next = False

    async def append_all(self, batches):  # type: ignore[no-untyped-def]
        if self.fail_next:
            self.fail_next = False
            raise StoreReadOnly("the test said no")
        return await self.log.append_all(batches)

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self.log, name)


async def test_after_a_failed_append_nothing_of_it_is_remembered(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path / "log")
    store = FailsOnceStore(log)
    cache = StateCache()
    bus = CommandBus(store, SteppingClock(), cache=cache)  # type: ignore[arg-type]
    bus.start()
    driver = Driver(bus, log, SteppingClock())
    visitor = await driver.visitor()
    conversation = visitor.conversation_id or ""
    store.fail_next = True
    with pytest.raises(StoreReadOnly):
        await driver.execute(SendMessage(conversation, "r1", "hi"), visitor)
    assert len(cache) == 0
    receipt = await driver.execute(SendMessage(conversation, "r1", "hi"), visitor)
    assert receipt.result["seq"] == 1
    await bus.close()
    log.close()


async def test_look_ups_that_fail_are_answered_and_the_bus_goes_on(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path / "log")
    store = FailsOnceStore(log)

    def absent(streams: list[str]) -> set[str]:
        raise IndexRebuilding(IndexProgress(17, 50), None)

    bus = CommandBus(store, SteppingClock())  # type: ignore[arg-type]
    bus.start()
    driver = Driver(bus, log, SteppingClock())
    visitor = await driver.visitor()
    command = SendMessage(visitor.conversation_id or "", "r1", "hi")
    before = log.durable_position
    store.absent = absent  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(IndexRebuilding):
            await driver.execute(command, visitor)
    assert log.durable_position == before
    del store.absent  # type: ignore[attr-defined]
    assert (await driver.execute(command, visitor)).result["seq"] == 1
    await bus.close()
    log.close()


async def test_a_command_decided_on_stale_state_is_decided_again(driver: Driver) -> None:
    """Another writer of the same log (here a second bus) was first."""
    visitor = await driver.visitor()
    conversation = visitor.conversation_id or ""
    await driver.execute(SendMessage(conversation, "r1", "hi"), visitor)
    other = CommandBus(driver.log, driver.clock)
    other.start()
    await other.execute(Request(SendMessage(conversation, "r2", "hi"), visitor, "x"))
    await other.close()
    receipt = await driver.execute(SendMessage(conversation, "r3", "hi"), visitor)
    assert receipt.result["seq"] == 3


async def test_work_goes_only_to_active_agents(driver: Driver) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    admin = await driver.agent(Role.ADMIN)
    conversation = visitor.conversation_id or ""
    await driver.execute(AssignConversation(conversation, agent.id), agent)
    with pytest.raises(errors.AgentNotFound):
        await driver.execute(AssignConversation(conversation, "nobody"), agent)
    await driver.execute(ChangeAgent(agent.id, active=False), admin)
    with pytest.raises(errors.AgentInactive):
        await driver.execute(AssignConversation(conversation, agent.id), admin)


async def test_visitors_do_no_staff_work(driver: Driver) -> None:
    visitor = await driver.visitor()
    conversation = visitor.conversation_id or ""
    for command in (
        AssignConversation(conversation, None),
        ChangeStatus(conversation, Status.RESOLVED),
        WakeConversation(conversation),
        UpdateContact(visitor.id, "x", None),
        IssueApiKey("t", "x", ()),
        RegisterAgent("a", "a@x.io", "A", Role.ADMIN, "h", False),
    ):
        with pytest.raises(errors.Forbidden):
            await driver.execute(command, visitor)


async def test_a_snoozed_conversation_wakes_when_its_time_has_come(driver: Driver) -> None:
    visitor, agent = await driver.visitor(), await driver.agent()
    conversation = visitor.conversation_id or ""
    until = driver.clock.us + 1000
    await driver.execute(ChangeStatus(conversation, Status.SNOOZED, until), agent)
    end = driver.log.durable_position
    await driver.execute(WakeConversation(conversation))
    assert driver.log.durable_position == end
    driver.clock.us = until
    await driver.execute(WakeConversation(conversation))
    await driver.execute(WakeConversation(conversation))
    assert driver.log.durable_position == end + 1


async def test_an_administrator_can_not_lose_the_own_role(driver: Driver) -> None:
    admin = await driver.agent(Role.ADMIN)
    for change in (ChangeAgent(admin.id, role=Role.AGENT), ChangeAgent(admin.id, active=False)):
        with pytest.raises(errors.OwnAccount):
            await driver.execute(change, admin)


async def test_a_session_that_outlived_its_role_does_not_administer(driver: Driver) -> None:
    one, two = await driver.agent(Role.ADMIN), await driver.agent(Role.ADMIN)
    await driver.execute(ChangeAgent(two.id, role=Role.AGENT), one)
    with pytest.raises(errors.Forbidden):
        await driver.execute(ChangeAgent(one.id, role=Role.AGENT), two)


async def test_an_email_address_is_given_once(driver: Driver) -> None:
    await driver.execute(RegisterAgent("x", "same@x.io", "X", Role.AGENT, "h", False))
    with pytest.raises(errors.EmailTaken):
        await driver.execute(RegisterAgent("y", "Same@x.io", "Y", Role.AGENT, "h", False))


async def test_a_token_opens_its_door_until_it_is_revoked_or_its_agent_goes(driver: Driver) -> None:
    agent, admin = await driver.agent(), await driver.agent(Role.ADMIN)
    for token in ("t1", "t2"):
        await driver.execute(StartAgentSession(token, driver.clock.us + 10, agent.id))
    principal = await driver.bus.query(Authenticate("t1"))
    assert principal.actor == agent
    await driver.execute(EndSession("t1"), agent)
    with pytest.raises(errors.Unauthenticated):
        await driver.bus.query(Authenticate("t1"))
    await driver.execute(ChangeAgent(agent.id, active=False), admin)
    with pytest.raises(errors.Unauthenticated):
        await driver.bus.query(Authenticate("t2"))
    with pytest.raises(errors.Unauthenticated):
        await driver.bus.query(Authenticate("never-issued"))


async def test_an_expired_token_says_so(driver: Driver) -> None:
    agent = await driver.agent()
    await driver.execute(StartAgentSession("t", driver.clock.us + 10, agent.id))
    driver.clock.us += 10
    with pytest.raises(errors.TokenExpired):
        await driver.bus.query(Authenticate("t"))


async def test_a_foreign_session_can_not_be_ended(driver: Driver) -> None:
    one, two = await driver.agent(), await driver.agent()
    await driver.execute(StartAgentSession("t", driver.clock.us + 10, one.id))
    with pytest.raises(errors.Forbidden):
        await driver.execute(EndSession("t"), two)


async def test_an_api_key_carries_its_scopes_until_it_is_revoked(driver: Driver) -> None:
    admin = await driver.agent(Role.ADMIN)
    await driver.execute(IssueApiKey("k", "erp", (Scope.EVENTS_READ,)), admin)
    actor: Actor = (await driver.bus.query(Authenticate("k"))).actor
    assert actor.scopes == {Scope.EVENTS_READ}
    await driver.execute(RevokeApiKey("k"), admin)
    with pytest.raises(errors.Unauthenticated):
        await driver.bus.query(Authenticate("k"))
    with pytest.raises(errors.ApiKeyNotFound):
        await driver.execute(RevokeApiKey("unknown"), admin)


async def test_credentials_are_found_by_address_in_any_case(driver: Driver) -> None:
    await driver.execute(RegisterAgent("x", "Mei@x.io", "Mei", Role.AGENT, "h", True))
    found = await driver.bus.query(FindCredentials("MEI@X.io"))
    assert (found.agent_id, found.password_hash, found.must_change_password) == ("x", "h", True)
    await driver.execute(SetPassword("x", "h2", False))
    found = await driver.bus.query(FindCredentials("mei@x.io"))
    assert (found.password_hash, found.must_change_password) == ("h2", False)
    assert await driver.bus.query(FindCredentials("nobody@x.io")) is None
    assert await driver.bus.query(FindCredentials("not an address")) is None


async def test_an_unsigned_identifier_never_reaches_an_older_conversation(driver: Driver) -> None:
    alice = {"contact_id": "alice", "identifier": "u1"}
    signed = await driver.visitor(**alice, identity_verified=True)
    again = await driver.visitor(**alice, identity_verified=True)
    assert again.conversation_id == signed.conversation_id
    mallory = await driver.visitor(**alice)
    assert mallory.conversation_id != signed.conversation_id
    more = await driver.visitor(
        contact_id="alice", previous_conversation_id=mallory.conversation_id
    )
    assert more.conversation_id not in (signed.conversation_id, mallory.conversation_id)
    back = await driver.visitor(**alice, identity_verified=True)
    assert back.conversation_id == signed.conversation_id


async def test_a_proved_visitor_whose_conversation_is_resolved_gets_a_new_one(
    driver: Driver,
) -> None:
    agent = await driver.agent()
    alice = {"contact_id": "alice", "identifier": "u1", "identity_verified": True}
    first = await driver.visitor(**alice)
    await driver.execute(ChangeStatus(first.conversation_id or "", Status.RESOLVED), agent)
    second = await driver.visitor(**alice)
    assert second.conversation_id != first.conversation_id
    assert (await driver.visitor(**alice)).conversation_id == second.conversation_id
