"""Snoozed conversations wake up, whatever else is down at the moment."""

import asyncio
import os
import signal
from typing import Any

import pytest

from application.commands.conversation import WakeConversation
from application.ports.core import Receipt, Request
from domain.actors import SYSTEM
from domain.errors import ConversationNotFound, Unavailable
from infrastructure.system import SystemClock, SystemIds
from interfaces.workers.automation import run, wake_due


class FakeViews:
    """A fake: what is due, or an outage."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = list(answers)

    async def snoozed_due(self, now_us: int, limit: int) -> list[str]:
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeCore:
    """A fake: keeps the commands; some conversations are refused."""

    def __init__(self, refused: set[str] | None = None) -> None:
        self.refused = refused or set()
        self.requests: list[Request] = []
        self.woken = asyncio.Event()

    async def execute(self, request: Request) -> Receipt:
        self.requests.append(request)
        assert isinstance(request.command, WakeConversation)
        if request.command.conversation_id in self.refused:
            raise ConversationNotFound(request.command.conversation_id)
        self.woken.set()
        return Receipt(1, {})


class FakeSagas:
    """An effect worker with nothing to do, or with a bug."""

    def __init__(self, bug: Exception | None = None) -> None:
        self.bug = bug

    async def run(self, stop: asyncio.Event) -> None:
        if self.bug is not None:
            raise self.bug
        await stop.wait()


async def _wake(core: Any, views: Any) -> int:
    return await wake_due(core, views, SystemClock(), SystemIds())


async def test_every_conversation_that_is_due_is_woken_by_the_system() -> None:
    core = FakeCore()
    assert await _wake(core, FakeViews(["a", "b"])) == 2
    assert [request.command for request in core.requests] == [
        WakeConversation("a"),
        WakeConversation("b"),
    ]
    assert {request.actor for request in core.requests} == {SYSTEM}


async def test_a_refused_one_does_not_keep_the_others_asleep() -> None:
    core = FakeCore(refused={"a"})
    await _wake(core, FakeViews(["a", "b"]))
    assert len(core.requests) == 2
    assert core.woken.is_set()


async def test_it_goes_on_after_an_outage_and_stops_at_a_signal() -> None:
    core: Any = FakeCore()
    views: Any = FakeViews(Unavailable("the views are down"), ["a"])
    sagas: Any = FakeSagas()
    task = asyncio.create_task(run(core, views, SystemClock(), SystemIds(), sagas))
    await asyncio.wait_for(core.woken.wait(), 10)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 10)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


async def test_a_bug_in_the_effect_worker_ends_the_role_which_is_then_started_again() -> None:
    core: Any = FakeCore()
    views: Any = FakeViews()
    sagas: Any = FakeSagas(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run(core, views, SystemClock(), SystemIds(), sagas), 10)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
