"""What an operator or an auditor asks on the machine itself: the log, with or without a core."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from application.codec import open_envelope
from application.ports.event_store import EventFeed
from application.ports.views import Projection
from application.queries.streams import CoreStreams, FeedStreams, Opener, StreamReader
from domain.errors import Unavailable
from infrastructure.eventlog.reader import LogReader
from interfaces.bootstrap.clients import core_client
from interfaces.bootstrap.started import existing_log
from interfaces.settings import Settings

_CONNECT_S = 1.0


def opener(settings: Settings) -> Opener:
    """Decodes events."""
    return open_envelope


def feed(settings: Settings) -> EventFeed:
    """The log's files, which must be there."""
    return LogReader(existing_log(settings))


@asynccontextmanager
async def streams(
    settings: Settings, progress: Callable[[int, int], None]
) -> AsyncIterator[StreamReader]:
    """Streams by the running core's index; where no core runs, by reading the log's files."""
    directory = existing_log(settings)
    if settings.core_socket.exists():
        client = core_client(settings)
        await client.open()
        try:
            await client.wait_connected(_CONNECT_S)
        except Unavailable:
            await client.close()
        else:
            try:
                yield CoreStreams(client)
            finally:
                await client.close()
            return
    with closing(LogReader(directory)) as reader:
        yield FeedStreams(reader, progress)


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
