"""`EventFeed` at a distance: what the log's files are to a gateway next to them."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from application.ports.event_store import MatchingEvents, RecordedEvent
from domain.errors import Unavailable
from infrastructure.link.dialer import LinkDialer
from infrastructure.link.feed_connection import FeedConnection
from infrastructure.link.protocol import (
    ALIVE_S,
    OTHER_LOG,
    SILENCE_S,
    FeedRequest,
    LinkRefused,
    Mark,
)
from infrastructure.link.window import EventWindow

_log = structlog.get_logger(__name__)

_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 1.0
_STEADY_S: Final = 5.0
"""After a connection that lived so long the next one is tried at once."""
_METRICS_EVERY: Final = 5
"""Of so many signs of life one carries the process's numbers."""


class LinkFeed:
    """The log's events as they come over the link, for one reader, which reads in order.

    It begins at the log's end of the moment at which it is opened. A broken connection is made
    again, from the last event that came: nothing is lost, nothing comes twice. `durable_position`
    is how far the log is known here: to the last event that has come. Methods are called in the
    event loop, but for `wait`.

    Args:
        dialer: The way to the link.
        name: This process, in metrics.
        window: For what has come and was not read yet; while it is full, no more is taken.
    """

    def __init__(self, dialer: LinkDialer, name: str, window: EventWindow | None = None) -> None:
        self.connected = False
        self.reconnects = 0
        """Connections that were made anew."""
        self.log_end = 0
        """The log's durable position, as the link has said it last."""
        self.render: Callable[[], bytes] = bytes
        """This process's numbers for the link's scrapes."""
        self.on_other_log: Callable[[], None] = _nothing
        """Told that the log behind the link does not hold what this one has seen of it: it was
        replaced, and everybody here has to begin again."""
        self._dialer = dialer
        self._name = name
        self._window = EventWindow() if window is None else window
        self._began: asyncio.Event = asyncio.Event()
        self._known = False
        """Whether the window's beginning is known."""
        self._connection: FeedConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._moved = threading.Condition()
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._signalled = False
        self._closed = False

    async def open(self) -> None:
        """Connect, and wait until the log's end is known: whoever subscribes before it is would
        miss what comes next.
        """
        self._task = asyncio.create_task(self._stay_connected(), name="link-feed")
        await self._began.wait()

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventFeed.read`; what is not here any more is asked for and comes later."""
        if not self._reaches(after):
            return []
        found = self._window.read(after, limit)
        self._fill()
        return found

    def read_matching(
        self, after: int, limit: int, types: Sequence[str] = (), categories: Sequence[str] = ()
    ) -> MatchingEvents:
        """As `EventFeed.read_matching`; what is not here any more comes later."""
        if not self._reaches(after):
            return MatchingEvents([], after)
        found = self._window.read_matching(after, limit, types, categories)
        self._fill()
        return found

    def position_at(self, recorded_us: int) -> int:
        """As `EventFeed.position_at`, for moments behind the last event that came.

        Raises:
            Unavailable: an earlier moment; only the log itself knows.
        """
        if recorded_us < self._window.last.recorded_us:
            raise Unavailable("Only the machine of the log knows what was when.")
        return self._window.last.position

    def durable_position(self) -> int:
        """As `EventFeed.durable_position`, as far as it has come."""
        return self._window.last.position

    def wait(self, after: int, timeout_s: float) -> int:
        """As `EventFeed.wait`; not in the event loop."""
        with self._moved:
            self._moved.wait_for(lambda: self.durable_position() > after, timeout_s)
        return self.durable_position()

    def fileno(self) -> int:
        """As `EventFeed.fileno`."""
        return self._read_fd

    def drain(self) -> None:
        """As `EventFeed.drain`."""
        if self._signalled:
            self._signalled = False
            os.read(self._read_fd, 64)

    def close(self) -> None:
        """As `EventFeed.close`; again and again is the same as once."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.abort()
        os.close(self._read_fd)
        os.close(self._write_fd)

    # The connection.

    def took(self, events: Sequence[RecordedEvent], log_end: int) -> bool:
        """What the link sent; False: no more for now.

        Raises:
            LinkProtocolError: it is not what comes next.
        """
        self.log_end = log_end
        if events:
            try:
                self._window.add(events)
            finally:
                self._tell()
        return not self._window.full

    def _tell(self) -> None:
        with self._moved:
            self._moved.notify_all()
        if not self._signalled and not self._closed:
            self._signalled = True
            os.write(self._write_fd, b"x")

    def _reaches(self, after: int) -> bool:
        if after >= self._window.begins:
            return True
        self._window.begin(Mark(after, 0))
        if self._connection is not None:
            self._connection.abort()
        return False

    def _fill(self) -> None:
        if self._connection is not None and self._window.roomy:
            self._connection.listen()

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        delay = _FIRST_RETRY_S
        while True:
            begun = loop.time()
            try:
                await self._follow()
            except OSError as error:
                if isinstance(error, LinkRefused) and error.reason == OTHER_LOG:
                    _log.critical("link.other_log", position=self._window.last.position)
                    self.on_other_log()
            except Exception:  # noqa: BLE001 - a bug, which must not end the pushes for ever
                _log.exception("link.failed")
            else:
                self.reconnects += 1
            if loop.time() - begun > _STEADY_S:
                delay = _FIRST_RETRY_S
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_RETRY_S)

    async def _follow(self) -> None:
        """Until the connection is lost.

        Raises:
            OSError: there was none.
        """
        wanted = FeedRequest(self._window.last if self._known else None, self._name)
        connection = FeedConnection(self)
        mark = await self._dial(wanted, connection)
        if not self._known:
            self._window.begin(mark)
            self._known = True
        self.log_end = max(self.log_end, mark.position)
        self._connection, self.connected = connection, True
        self._began.set()
        try:
            if wanted.after in (None, self._window.last):  # not read back meanwhile
                connection.start()
                await self._keep_alive(connection)
        finally:
            self._connection, self.connected = None, False
            connection.abort()

    async def _dial(self, wanted: FeedRequest, connection: FeedConnection) -> Mark:
        try:
            mark, _ = await self._dialer.feed(wanted, lambda: connection)
        except BaseException:
            connection.abort()
            raise
        return mark

    async def _keep_alive(self, connection: FeedConnection) -> None:
        """Until the connection is lost, or silent for too long."""
        turn = 0
        while not connection.lost.is_set():
            metrics = self.render() if turn % _METRICS_EVERY == 0 else None
            turn += 1
            connection.say(metrics)
            if connection.silent():
                _log.warning("link.silent", for_s=SILENCE_S)
                return
            try:
                async with asyncio.timeout(ALIVE_S):
                    await connection.lost.wait()
            except TimeoutError:
                continue


def _nothing(*_: Any) -> None:
    """Nobody is told."""
