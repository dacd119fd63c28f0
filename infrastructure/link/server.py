"""The link role's end: who has a certificate of ours gets the core, the web role or the feed."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from application.ports.event_store import EventFeed
from domain.errors import InfrastructureError
from infrastructure.link import sockets
from infrastructure.link.feeding import Feeding, first_of
from infrastructure.link.protocol import (
    FeedRequest,
    LinkRefused,
    accept,
    asked,
    refuse,
)
from infrastructure.link.tls import LinkTls
from infrastructure.valkey.bounded_log import BoundedLog

_BACKLOG: Final = 1_024
_HANDSHAKE_S: Final = 5.0
"""For the TLS handshake, and again for the first line."""
_MAX_SHAKING: Final = 256
_MAX_CONNECTIONS: Final = 20_000
_MAX_FEEDS: Final = 256
_READ_BYTES: Final = 64 * 1024
_WAITING_BYTES: Final = 256 * 1024
"""That wait for a slow peer; beyond them nothing more is read for it."""


class LinkStats:
    """Plain numbers that a metrics collector reads."""

    def __init__(self) -> None:
        self.open = 0
        """Connections under way, of whatever service."""
        self.served = 0
        self.refused = 0
        """Connections without a certificate of ours, or too many."""


class LinkServer:
    """Listens for remote gateways.

    Args:
        tls: The server's end.
        feeds: Opens the log's files, for each remote by itself.
        paths: Unix sockets of `core` and `web`.
    """

    def __init__(
        self, tls: LinkTls, feeds: Callable[[], EventFeed], paths: dict[str, Path]
    ) -> None:
        self.stats = LinkStats()
        self._tls = tls
        self._feeds = feeds
        self._paths = paths
        self._feeding: set[Feeding] = set()
        self._shaking = 0
        self._log = BoundedLog()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None

    async def open(self, host: str, port: int) -> int:
        """Begin to listen.

        Returns:
            The port, which is another one than asked for only if that was 0.

        Raises:
            OSError: the address can't be listened on.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, number, _, address = found[0]
        listener = socket.socket(family, kind, number)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept_forever(listener))
        return int(listener.getsockname()[1])

    async def close(self) -> None:
        """Stop, and end every connection."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait((self._accepting,))
        await asyncio.sleep(0)  # a task that never began would not close its socket
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for transports that were aborted
        if self._listener is not None:
            self._listener.close()

    @property
    def remotes(self) -> dict[str, Feeding]:
        """Remotes that follow the log, by name; of two with one name the newest."""
        return {feeding.name: feeding for feeding in list(self._feeding)}

    async def _accept_forever(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor left; some will be closed
                self._log.warning("link.cannot_accept", error=str(error))
                await asyncio.sleep(0.1)
                continue
            if self._shaking >= _MAX_SHAKING or len(self._tasks) >= _MAX_CONNECTIONS:
                self._refused("too many")
                accepted.close()
                continue
            self._shaking += 1
            task = asyncio.create_task(self._serve(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        try:
            streams = await self._shake_hands(accepted)
        finally:
            self._shaking -= 1
        if streams is None:
            return
        reader, writer = streams
        self.stats.open += 1
        self.stats.served += 1
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                line = await reader.readuntil(b"\n")
            await self._give(asked(line[:-1]), reader, writer)
        except LinkRefused as error:
            writer.write(refuse(error.reason))
        except (InfrastructureError, msgspec.MsgspecError) as error:
            self._log.warning("link.ended", error=str(error))
        except asyncio.CancelledError:  # the end of all
            writer.transport.abort()
            raise
        except (OSError, EOFError, asyncio.LimitOverrunError):
            return  # it has gone, or did not say in time and in bounds what it wants
        finally:
            self.stats.open -= 1
            writer.close()

    async def _shake_hands(
        self, accepted: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_READ_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            sockets.prepare(accepted)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=self._tls.context(),
                ssl_handshake_timeout=_HANDSHAKE_S,
            )
        except OSError as error:  # ssl.SSLError, a time-out and a reset are
            self._refused(str(error))
            accepted.close()
            return None
        except asyncio.CancelledError:
            accepted.close()
            raise
        transport.set_write_buffer_limits(high=_WAITING_BYTES)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _refused(self, reason: str) -> None:
        self.stats.refused += 1
        self._log.warning("link.refused", error=reason)

    async def _give(
        self, what: str | FeedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if isinstance(what, str):
            await _relay(self._paths[what], reader, writer)
            return
        if len(self._feeding) >= _MAX_FEEDS:
            raise LinkRefused("too many feeds")
        try:
            feed = self._feeds()
            feed.fileno()
        except OSError as error:
            self._log.warning("link.log_unreadable", error=str(error))
            raise LinkRefused("the log can't be read") from None
        feeding = Feeding(feed, what)
        self._feeding.add(feeding)
        try:
            await feeding.run(reader, writer)
        finally:
            self._feeding.discard(feeding)


async def _relay(path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes both ways until either end has said its last."""
    try:
        far_reader, far_writer = await asyncio.open_unix_connection(str(path), limit=_READ_BYTES)
    except OSError:
        raise LinkRefused("unavailable") from None
    try:
        writer.write(accept())
        await first_of(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_READ_BYTES):
        target.write(data)
        await target.drain()
