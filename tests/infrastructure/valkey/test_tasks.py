"""Tasks end, whatever the library makes of their cancellation."""

import asyncio

from infrastructure.valkey.tasks import end


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 2:
                    raise

    async def failing() -> None:
        raise OSError

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await end(tasks, again_s=0.01)
    assert all(task.done() for task in tasks)
    assert swallowed == 3
