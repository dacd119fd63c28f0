"""Whoever waits for a position is woken by it, and by nothing less."""

import asyncio

import pytest

from infrastructure.postgres.position_waiters import PositionWaiters


async def test_a_step_wakes_those_whom_it_serves() -> None:
    waiters = PositionWaiters()
    tasks = {at: asyncio.create_task(waiters.wait(at, 10)) for at in (7, 3, 5, 3)}
    again = asyncio.create_task(waiters.wait(3, 10))
    await asyncio.sleep(0)
    waiters.moved(4)
    await asyncio.wait_for(asyncio.gather(tasks[3], again), 60)
    assert not tasks[5].done()
    assert not tasks[7].done()
    waiters.moved(2)  # a rebuild
    waiters.moved(7)
    await asyncio.wait_for(asyncio.gather(tasks[5], tasks[7]), 60)
    assert not waiters


async def test_who_gives_up_is_forgotten() -> None:
    waiters = PositionWaiters()
    with pytest.raises(TimeoutError):
        await waiters.wait(9, 0.001)
    cancelled = asyncio.create_task(waiters.wait(8, 10))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    waiters.moved(0)
    assert not waiters
