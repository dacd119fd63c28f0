"""A connection of the epoll loop, as whoever handles it sees it."""

import os
import socket
from typing import Final, Protocol

_DRAINED_BYTES: Final = 64 * 1024
"""Queued in one round; a handler is told when it has gone, as it may have waited for that."""


class Loop(Protocol):
    """What a client needs of its loop."""

    bytes_out: int
    """Written to clients since the beginning."""

    def dirty(self, client: "Client") -> None:
        """It has something to flush."""

    def watch(self, client: "Client") -> None:
        """Look out for what the client waits for."""

    def forget(self, client: "Client", *, close: bool = True) -> None:
        """Take it out."""


class Handler(Protocol):
    """What becomes of a connection's bytes. May be replaced while the connection lives."""

    def received(self, client: "Client", data: bytes) -> None:
        """Bytes came."""

    def drained(self, client: "Client") -> None:
        """Everything that was queued has been given to the kernel."""

    def lost(self, client: "Client") -> None:
        """The connection is gone, whoever ended it; called once."""


class Client:
    """One connection. Not safe for several threads."""

    __slots__ = ("_loop", "_output", "_queued", "_unsent", "deaf", "fd", "handler", "id")

    def __init__(self, loop: Loop, fd: int, id: int, handler: Handler) -> None:
        self.fd = fd
        """-1: closed."""
        self.id = id
        """Of this connection; never given again."""
        self.handler = handler
        self.deaf = False
        """Nothing is read from it."""
        self._loop = loop
        self._output: list[bytes] | None = None
        """Queued in this round."""
        self._queued = 0
        self._unsent: bytes | None = None
        """What the kernel did not take."""

    def queue(self, head: bytes, body: bytes = b"") -> int:
        """Send at the end of the round, together with what else comes until then.

        Returns:
            Bytes that the kernel has not taken yet.
        """
        output = self._output
        if output is None:
            if self.fd < 0:
                return 0
            self._output = [head, body]
            self._loop.dirty(self)
        else:
            output += (head, body)
        self._queued += len(head) + len(body)
        unsent = self._unsent
        return self._queued if unsent is None else self._queued + len(unsent)

    def flush(self) -> None:
        """Give the kernel what is queued."""
        output, self._output = self._output, None
        queued, self._queued = self._queued, 0
        if output is None or self.fd < 0:
            return
        data = b"".join(output)
        if self._unsent is not None:
            self._unsent += data
            return
        try:
            sent = os.write(self.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        self._loop.bytes_out += sent
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.watch(self)
        elif queued > _DRAINED_BYTES:
            self.handler.drained(self)

    @property
    def blocked(self) -> bool:
        """The kernel did not take everything."""
        return self._unsent is not None

    def listen(self, *, on: bool) -> None:
        """Whether to read; what it sends meanwhile waits in the kernel."""
        self.deaf = not on
        if self.fd >= 0:
            self._loop.watch(self)

    def close(self) -> None:
        """Give the kernel what is queued, as far as it takes it, and close."""
        self.flush()
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self.fd >= 0:
            self._output = self._unsent = None
            self._loop.forget(self)
            self.handler.lost(self)

    def detach(self) -> socket.socket:
        """The connection as a socket; this client is closed, and its handler not told."""
        fd = self.fd
        self._loop.forget(self, close=False)
        return socket.socket(fileno=fd)

    def writable(self) -> None:
        """The kernel takes more."""
        unsent = self._unsent
        if unsent is None:
            return
        try:
            sent = os.write(self.fd, unsent)
        except BlockingIOError:
            return
        except OSError:
            self.abort()
            return
        self._loop.bytes_out += sent
        if sent < len(unsent):
            self._unsent = unsent[sent:]
            return
        self._unsent = None
        self._loop.watch(self)
        self.handler.drained(self)
