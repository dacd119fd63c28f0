"""What many have missed is read together, a few queries at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from application.ports.views import WantedPage
from domain.errors import Unavailable
from interfaces.gateway.replays import Page, Replays


class Views:
    """Answers with as many rows as a conversation's name says, when the gate is open."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.gate = asyncio.Event()
        self.failing = False

    async def message_pages(self, wanted: Sequence[WantedPage], limit: int) -> list[list[int]]:
        self.asked.append(len(wanted))
        await self.gate.wait()
        if self.failing:
            raise Unavailable("down")
        return [list(range(int(one.conversation_id)))[:limit] for one in wanted]


@pytest.fixture
async def views() -> Views:
    return Views()


def ask(replays: Replays, rows: int) -> "asyncio.Task[Page]":
    return asyncio.create_task(replays.page(WantedPage(str(rows), 0, include_private=False)))


async def asked(views: Views, queries: int) -> None:
    for _ in range(100):  # turns of the loop
        if len(views.asked) >= queries:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{views.asked}, not {queries} queries")


async def test_who_waits_while_two_queries_are_under_way_shares_the_next(views: Any) -> None:
    replays = Replays(views)
    tasks = [ask(replays, 1), ask(replays, 2)]
    await asked(views, 1)
    tasks += [ask(replays, 3)]
    await asked(views, 2)
    tasks += [ask(replays, rows) for rows in range(4, 44)]
    await asyncio.sleep(0)
    assert sum(views.asked) == 3, "the others wait"
    views.gate.set()
    pages = await asyncio.gather(*tasks)
    assert [len(page.rows) for page in pages] == list(range(1, 44)), "to each its own"
    assert max(views.asked) == 32
    assert len(views.asked) == 4


async def test_a_full_page_may_have_more_behind_it(views: Any) -> None:
    views.gate.set()
    replays = Replays(views)
    assert not (await ask(replays, 199)).more
    page = await ask(replays, 1_000)
    assert page.more
    assert len(page.rows) == 200


async def test_together_they_are_told_no_more_rows_than_one_answer_may_have(views: Any) -> None:
    views.gate.set()
    replays = Replays(views)
    pages = await asyncio.gather(*[ask(replays, 1_000) for _ in range(32)])
    assert {len(page.rows) for page in pages} == {50}


async def test_an_outage_is_told_to_all_who_wait_and_the_next_may_succeed(views: Any) -> None:
    views.failing = True
    views.gate.set()
    replays = Replays(views)
    outcomes = await asyncio.gather(*[ask(replays, 1) for _ in range(3)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    views.failing = False
    assert len((await ask(replays, 1)).rows) == 1


async def test_who_has_gone_is_not_asked_for(views: Any) -> None:
    replays = Replays(views)
    first, second = ask(replays, 1), ask(replays, 2)
    await asked(views, 1)
    third = ask(replays, 3)
    await asked(views, 2)
    gone = [ask(replays, 4) for _ in range(5)]
    stays = ask(replays, 5)
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    views.gate.set()
    await asyncio.gather(first, second, third, stays)
    assert sum(views.asked) == 4
