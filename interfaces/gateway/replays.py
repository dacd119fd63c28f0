"""What subscriptions have missed, read for many of them together.

When thousands of clients come back at once, a query each would be most of the work, and more than
the views' connections can take would be refused. Here they wait in the order in which they came,
and a few queries at a time answer all who wait.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from application.ports.views import MessageRow, Views, WantedPage

_AT_ONCE: Final = 2
"""Queries under way: while one is answered the other is read."""
_MAX_TOGETHER: Final = 32
_MAX_ROWS: Final = 1_600
"""Of one query, so that its answer stays some hundred kilobytes."""
_MAX_PAGE: Final = 200


class Page(NamedTuple):
    """Some of the messages that a subscription has missed."""

    rows: list[MessageRow]
    more: bool
    """There may be others behind them."""


class Replays:
    """Use it in one event loop."""

    def __init__(self, views: Views) -> None:
        self.queries = 0
        self.pages = 0
        self._views = views
        self._waiting: deque[tuple[WantedPage, asyncio.Future[Page]]] = deque()
        self._readers: set[asyncio.Task[None]] = set()

    async def page(self, wanted: WantedPage) -> Page:
        """The next messages of a conversation.

        Raises:
            Unavailable: the views do not answer.
        """
        future: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        if len(self._readers) < _AT_ONCE:
            reader = asyncio.create_task(self._read(), name="replays")
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
        return await future

    async def _read(self) -> None:
        while self._waiting:
            some: list[tuple[WantedPage, asyncio.Future[Page]]] = []
            while self._waiting and len(some) < _MAX_TOGETHER:
                wanted, future = self._waiting.popleft()
                if not future.done():  # else the client has gone
                    some.append((wanted, future))
            if some:
                await self._answer(some)

    async def _answer(self, some: list[tuple[WantedPage, asyncio.Future[Page]]]) -> None:
        limit = min(_MAX_PAGE, _MAX_ROWS // len(some))
        self.queries += 1
        self.pages += len(some)
        try:
            found = await self._views.message_pages([wanted for wanted, _ in some], limit)
        except Exception as error:  # noqa: BLE001 - goes to whoever waits for the answer
            for _, future in some:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), rows in zip(some, found, strict=True):
            if not future.done():
                future.set_result(Page(rows, len(rows) == limit))
