"""Ends tasks that run the library's code."""

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: Iterable["asyncio.Task[Any]"], again_s: float) -> None:
    """Cancel tasks until all have ended; what they raise is dropped.

    Again and again: `asyncio.wait_for`, which the library writes with, swallows a cancellation that
    comes as its work completes (Python 3.11, issue 37658 of CPython), and the task would go on.

    Args:
        again_s: Cancel what still runs after so many seconds. A task that ends others takes longer
            than those.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=again_s)
        for task in done:
            if not task.cancelled():
                task.exception()
