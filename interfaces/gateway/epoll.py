"""An epoll loop for very many connections, nested in asyncio's.

asyncio sees one descriptor, the epoll's. A connection costs this loop a `Client` and an entry in a
dictionary; asyncio's transports cost 9 to 30 KB each (shared/knowledge/gateway.md). Descriptors are
used again by the kernel at once, so only this file and `client.py` hold one: a `Client` that was
closed stays closed. Linux only, as `select.epoll` is.
"""

import asyncio
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from interfaces.gateway.client import Client, Handler

_log = structlog.get_logger(__name__)

_READ_BYTES: Final = 64 * 1024
_MAX_EVENTS: Final = 1_024
_ACCEPT_BATCH: Final = 256
"""Connections taken at once: those that are there get their turn between."""
_BUSY_BELOW_S: Final = 0.002
"""Rounds that come closer than this are put together: see `EpollLoop._ready`."""
_FEW_EVENTS: Final = 64
_NAP_S: Final = 0.0005
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_ENDED: Final = select.EPOLLHUP | select.EPOLLERR


class LoopStats:
    """Plain numbers that a metrics collector reads."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rounds = 0
        self.naps = 0
        self.bytes_in = 0


Accept = Callable[[Client, Any], bool]
"""Told a new client, whose handler it sets, and its address as `socket.accept` gives it; False: the
connection is closed at once."""


class EpollLoop:
    """Connections of one process.

    Args:
        accept: See `Accept`.
        handler: Of a client until `accept` has set another one.
    """

    def __init__(self, accept: Accept, handler: Handler) -> None:
        self.stats = LoopStats()
        self.bytes_out = 0
        self.clients: dict[int, Client] = {}
        """By id."""
        self._by_fd: list[Client | None] = []
        """By descriptor: these are small numbers, used again."""
        self.now = time.monotonic()
        """When the round began."""
        self.empty = asyncio.Event()
        """Set while there are none."""
        self.empty.set()
        self._accept = accept
        self._handler = handler
        self._epoll = select.epoll()
        self._listener: socket.socket | None = None
        self._asyncio = asyncio.get_running_loop()
        self._dirty: list[Client] = []
        self._in_round = False
        self._next_id = 0
        self._last_round = 0.0
        self._asyncio.add_reader(self._epoll.fileno(), self._ready)

    def listen(self, listener: socket.socket) -> None:
        """Take connections from a listening socket; they have its socket options."""
        listener.setblocking(False)
        self._listener = listener
        self._epoll.register(listener.fileno(), _IN)

    def adopt(self, connection: socket.socket) -> Client:
        """Take a connection over, which does not block."""
        fd = connection.detach()
        self._next_id += 1
        client = Client(self, fd, self._next_id, self._handler)
        self.clients[client.id] = client
        self._by_fd += [None] * (fd + 1 - len(self._by_fd))
        self._by_fd[fd] = client
        self.empty.clear()
        self._epoll.register(fd, _IN)
        return client

    def stop_listening(self) -> None:
        """Take no more; whoever waits in the backlog is refused by the kernel."""
        if self._listener is not None:
            self._epoll.unregister(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def pause_accepting(self, seconds: float) -> None:
        """Let new connections wait in the kernel's backlog for a while."""
        if self._listener is not None:
            self._epoll.modify(self._listener.fileno(), 0)
            self._asyncio.call_later(seconds, self._resume_accepting)

    def _resume_accepting(self) -> None:
        if self._listener is not None:
            self._epoll.modify(self._listener.fileno(), _IN)

    def close(self) -> None:
        """Close all connections."""
        self.stop_listening()
        for client in list(self.clients.values()):
            client.abort()
        self._asyncio.remove_reader(self._epoll.fileno())
        self._epoll.close()

    # For clients.

    def dirty(self, client: Client) -> None:
        """It has something to flush."""
        if not self._dirty and not self._in_round:
            self._asyncio.call_soon(self._flush)
        self._dirty.append(client)

    def watch(self, client: Client) -> None:
        """Look out for what the client waits for."""
        events = 0 if client.deaf else _IN
        self._epoll.modify(client.fd, events | _OUT if client.blocked else events)

    def forget(self, client: Client, *, close: bool = True) -> None:
        """Take it out."""
        fd, client.fd = client.fd, -1
        self._by_fd[fd] = None
        del self.clients[client.id]
        if not self.clients:
            self.empty.set()
        with suppress(OSError):
            self._epoll.unregister(fd)
        if close:
            os.close(fd)

    # The round.

    def _ready(self) -> None:
        """One round. While rounds follow closely on each other and find little, each message would
        be a wake-up of its own, there and in the core: then wait a moment for more.
        """
        began = time.monotonic()
        events = self._epoll.poll(0, _MAX_EVENTS)
        stats = self.stats
        stats.rounds += 1
        if len(events) < _FEW_EVENTS and began - self._last_round < _BUSY_BELOW_S:
            time.sleep(_NAP_S)
            stats.naps += 1
            events = self._epoll.poll(0, _MAX_EVENTS)
        self._last_round = began
        self._in_round = True
        self.now = began
        clients, read = self._by_fd, os.read
        listening = self._listener.fileno() if self._listener is not None else -1
        for fd, event in events:
            if fd == listening:
                self._accept_some()
                continue
            client = clients[fd]
            if client is None:
                continue
            if event & _OUT:
                client.writable()
            if event & _IN:
                try:
                    data = read(fd, _READ_BYTES) if client.fd >= 0 else b"-"
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if data:
                    stats.bytes_in += len(data)
                    try:
                        client.handler.received(client, data)
                    except Exception:  # noqa: BLE001 - a bug that one meets must not stop the others
                        _log.exception("gateway.client_failed")
                        client.abort()
                else:
                    client.abort()
            elif event & _ENDED:
                client.abort()
        self._in_round = False
        self._flush()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for client in dirty:
            client.flush()
        if self._dirty:
            self._asyncio.call_soon(self._flush)

    def _accept_some(self) -> None:
        for _ in range(_ACCEPT_BATCH):
            listener = self._listener
            if listener is None:
                return
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # Out of descriptors, or the client has gone: let those in that are left later.
                self.pause_accepting(0.1)
                return
            connection.setblocking(False)
            self.stats.accepted += 1
            client = self.adopt(connection)
            if not self._accept(client, address) and client.fd >= 0:
                self.forget(client)
