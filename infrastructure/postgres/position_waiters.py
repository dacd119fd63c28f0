"""Those who wait until the views hold a position."""

import asyncio
import heapq
import itertools


class PositionWaiters:
    """The nearest position first: of ten thousand who wait, a step wakes those whom it serves."""

    def __init__(self) -> None:
        self.position = 0
        """That the views were last seen to hold."""
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._heap)

    async def wait(self, position: int, timeout_s: float) -> None:
        """Return when the views hold the position.

        Raises:
            TimeoutError: they do not within the time.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (position, next(self._numbers), future))
        async with asyncio.timeout(timeout_s):
            await future

    def moved(self, position: int) -> None:
        """The views hold this position now; after a rebuild it may be a lower one."""
        self.position = position
        heap = self._heap
        # Those who gave up go when their turn comes, or when they are in front.
        while heap and (heap[0][0] <= position or heap[0][2].done()):
            _, _, future = heapq.heappop(heap)
            if not future.done():
                future.set_result(None)
