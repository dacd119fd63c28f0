"""What an operator or an auditor asks on the machine itself: the log, with or without a core."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Final

from application.commands.audit import RecordRead
from application.ports.core import Request
from application.ports.event_store import EventFeed
from application.ports.views import Projection
from application.queries.streams import CoreStreams, FeedStreams, StreamReader
from domain.actors import SYSTEM
from domain.errors import Unavailable
from infrastructure.eventlog.reader import LogReader
from infrastructure.ipc.client import CoreClient
from interfaces.bootstrap.clients import core_client
from interfaces.bootstrap.started import existing_log
from interfaces.settings import Settings

_CONNECT_S: Final = 1.0
_ANSWER_S: Final = 30.0


def feed(settings: Settings) -> EventFeed:
    """The log's files, which must be there."""
    return LogReader(existing_log(settings))


@asynccontextmanager
async def _core(settings: Settings) -> AsyncIterator[CoreClient | None]:
    """The running core; None: there is none."""
    if not settings.core_socket.exists():
        yield None
        return
    client = core_client(settings)
    await client.open()
    try:
        await client.wait_connected(_CONNECT_S)
    except Unavailable:
        await client.close()
        yield None
        return
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def streams(
    settings: Settings, progress: Callable[[int, int], None]
) -> AsyncIterator[StreamReader]:
    """Streams by the running core's index; where no core runs, by reading the log's files."""
    directory = existing_log(settings)
    async with _core(settings) as core:
        if core is not None:
            yield CoreStreams(core)
        else:
            with closing(LogReader(directory)) as reader:
                yield FeedStreams(reader, progress)


async def record_export(settings: Settings, what: str, filters: dict[str, str]) -> bool:
    """Write down that an operator exports data from this machine.

    Returns:
        False: no core runs that could write. Nobody is kept from files that it may read.

    Raises:
        KefuError: a core runs and refused it; nothing should be exported.
    """
    async with _core(settings) as core:
        if core is None:
            return False
        command = RecordRead(what, None, filters)
        async with asyncio.timeout(_ANSWER_S):
            await core.execute(Request(command, SYSTEM, "command-line"))
        return True


async def projection_of(settings: Settings, position: int) -> Projection | str:
    """What the views made of an event; a text: why that is not known."""
    from interfaces.bootstrap.views import views

    read_side = views(settings)
    await read_side.open()
    try:
        return await read_side.projection_of(position)
    except Unavailable as error:
        return error.detail
    finally:
        await read_side.close()
