"""Group commit: whatever waits while the disk is busy goes into the next transaction together."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

_AT_ONCE: Final = 256
T = TypeVar("T")


class Committer:
    """Runs jobs in transactions; an answer comes when its transaction is on disk.

    Jobs run on the event loop and only the commit in a thread: statements in another thread would
    hand the interpreter's lock back and forth at each of them, 5 ms a time.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Do a job behind those that were given before.

        Returns:
            The job's result, when it is durable. `sqlite3.Error`: nothing of the job's transaction
            was written.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append((job, future))
        self._wake.set()
        return future

    async def work(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._jobs:
                taken = [self._jobs.popleft() for _ in range(min(len(self._jobs), _AT_ONCE))]
                await self._commit(taken)

    def close(self) -> None:
        """Wait for the commit under way and close the database."""
        self._thread.shutdown()
        self._db.close()

    async def _commit(self, taken: list[tuple[Callable[[], Any], asyncio.Future[Any]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            results = [job() for job, _ in taken]
            await loop.run_in_executor(self._thread, self._db.execute, "COMMIT")
        except Exception as error:  # noqa: BLE001 - each of those who wait must hear of it
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():
                future.set_result(result)
