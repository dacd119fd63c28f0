"""A log with a link beside it, and a remote's end of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.link.dialer import LinkDialer
from infrastructure.link.feed import LinkFeed
from infrastructure.link.server import LinkServer
from infrastructure.link.tls import LinkTls
from infrastructure.link.window import EventWindow
from tests.certificates import Authority
from tests.infrastructure.eventlog.conftest import batch

BOUND_S = 60.0


def tls(authority: Authority, name: str, *, server: bool) -> LinkTls:
    certificate, key = authority.issue(name, server=server)
    return LinkTls(certificate, key, authority.certificate, server=server)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - of whatever a test looks at
            await asyncio.sleep(0.01)


class Linked:
    """A log, a link that can go and come back on one port, and feeds of remotes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory / "tls")
        self.log = EventLog.open(directory / "log")
        self.core = directory / "core.sock"
        self.web = directory / "web.sock"
        self.port = 0
        self.server: LinkServer | None = None
        self.dialer: LinkDialer
        self.feeds: list[LinkFeed] = []
        self._server_tls = tls(self.authority, "server", server=True)

    def append(self, *payloads: bytes, stream: str = "message-1") -> None:
        self.log.append_sync([batch(stream, *payloads)])

    async def listen(self) -> None:
        paths = {"core": self.core, "web": self.web}
        log = self.directory / "log"
        self.server = LinkServer(self._server_tls, lambda: LogReader(log), paths)
        self.port = await self.server.open("127.0.0.1", self.port)
        self.dialer = LinkDialer(
            "127.0.0.1", self.port, tls(self.authority, "remote", server=False)
        )

    async def vanish(self) -> None:
        assert self.server is not None
        await self.server.close()
        self.server = None

    async def feed(self, window: EventWindow | None = None) -> LinkFeed:
        feed = LinkFeed(self.dialer, "gateway-1@there", window)
        self.feeds.append(feed)
        async with asyncio.timeout(BOUND_S):
            await feed.open()
        return feed

    async def close(self) -> None:
        for feed in self.feeds:
            feed.close()
        if self.server is not None:
            await self.vanish()
        for _ in range(10):  # the event loop's turns in which what was aborted is closed
            await asyncio.sleep(0)
        self.log.close()


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[Linked]:
    found = Linked(tmp_path)
    await found.listen()
    yield found
    await found.close()
