"""The link's end of a feed: the log's events behind a position, no faster than they are taken."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from application.ports.event_store import EventFeed
from infrastructure.ipc.protocol import FrameBuffer
from infrastructure.link.protocol import (
    ALIVE_S,
    MAX_ALIVE_BYTES,
    OTHER_LOG,
    SILENCE_S,
    Batch,
    FeedRequest,
    LinkRefused,
    Mark,
    accept,
    batches,
    decode_alive,
    frame,
)

_SLICE: Final = 500
"""Events that are read at once."""
_NEAR: Final = 10_000
"""So many behind the end, events were written just now and reading them does not block."""


class Feeding:
    """One remote's feed.

    Args:
        feed: Read by nobody else; closed at the end.
        request: What the remote asked for.
    """

    def __init__(self, feed: EventFeed, request: FeedRequest) -> None:
        self.name = request.name
        self.metrics = b""
        """The remote's numbers, as it said them last."""
        self._feed = feed
        self._request = request
        self._moved = asyncio.Event()

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the remote has gone or is silent for too long.

        Raises:
            LinkRefused: the log does not hold what the remote has seen.
            InfrastructureError: the log can't be read, or the remote says something else.
            OSError: the connection broke.
        """
        try:
            with self._watched():
                begin = await asyncio.to_thread(self._begin)
                writer.write(accept(begin))
                await first_of(self._send(begin.position, writer), self._listen(reader))
        finally:
            self._feed.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._feed.fileno(), self._wake)
        try:
            yield
        finally:
            loop.remove_reader(self._feed.fileno())

    def _wake(self) -> None:
        self._feed.drain()
        self._moved.set()

    def _begin(self) -> Mark:
        end, after = self._feed.durable_position(), self._request.after
        position = end if after is None else after.position
        if position == 0:
            return Mark(0, 0)
        found = self._feed.read(position - 1, 1) if position <= end else []
        if not found or (after is not None and after.recorded_us not in (0, found[0].recorded_us)):
            raise LinkRefused(OTHER_LOG)
        return Mark(position, found[0].recorded_us)

    async def _send(self, position: int, writer: asyncio.StreamWriter) -> None:
        feed = self._feed
        while True:
            self._moved.clear()
            end = feed.durable_position()
            if position < end:
                if end - position <= _NEAR:
                    events = feed.read(position, _SLICE)
                else:  # they may be on a cold disk, or in the archive
                    events = await asyncio.to_thread(feed.read, position, _SLICE)
                for data in batches(end, events):
                    writer.write(data)
                    await writer.drain()
                position = events[-1].position
                await asyncio.sleep(0)  # others' turn: `drain` gives none while there is room
                continue
            try:
                async with asyncio.timeout(ALIVE_S):
                    await self._moved.wait()
            except TimeoutError:
                writer.write(frame(Batch(end, [])))
                await writer.drain()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = FrameBuffer(MAX_ALIVE_BYTES)
        while True:
            async with asyncio.timeout(SILENCE_S):
                data = await reader.read(65_536)
            if not data:
                return
            for body in frames.feed(data):
                metrics = decode_alive(body).metrics
                if metrics is not None:
                    self.metrics = metrics


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Do all until one ends, then end the others; raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
