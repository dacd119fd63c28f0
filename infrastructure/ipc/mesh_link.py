"""A connection between two processes of the mesh: frames in, frames out, a bound on what waits."""

import asyncio
import struct
from typing import Final, Protocol, cast

import structlog

_log = structlog.get_logger(__name__)

HELLO, PUBLISH, ASK, ANSWER = range(4)
MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""For a peer that reads slowly; beyond it what is for it is dropped."""
_HEAD: Final = struct.Struct("!IB")
_MAX_FRAME_BYTES: Final = 1024 * 1024


class MeshEnd(Protocol):
    """Whose links these are."""

    def joined(self, link: "MeshLink") -> None: ...

    def lost(self, link: "MeshLink") -> None: ...

    def took(self, link: "MeshLink", kind: int, body: memoryview) -> None: ...


class MeshLink(asyncio.Protocol):
    """What is sent in one turn of the event loop leaves in one write."""

    def __init__(self, end: MeshEnd) -> None:
        self.peer = ""
        """Its id; empty until it has said hello."""
        self.asked: set[int] = set()
        """Questions that it has not answered yet."""
        self._end = end
        self._input = b""
        self._output: list[bytes] = []
        self._output_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)
        self._end.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.lost(self)

    def data_received(self, data: bytes) -> None:
        start, view = 0, memoryview(self._input + data if self._input else data)
        while start + _HEAD.size <= len(view):
            length, kind = _HEAD.unpack_from(view, start)
            end = start + 4 + length
            if not 1 <= length <= _MAX_FRAME_BYTES:
                self._refuse("a frame's length")
                return
            if end > len(view):
                break
            try:
                self._end.took(self, kind, view[start + _HEAD.size : end])
            except (ValueError, struct.error) as error:
                self._refuse(type(error).__name__)
                return
            start = end
        self._input = bytes(view[start:])

    def send(self, kind: int, body: bytes) -> bool:
        """Queue a frame; False: too much is waiting, or the peer has gone."""
        if self._transport.is_closing():
            return False
        waiting: int = self._transport.get_write_buffer_size()
        if waiting + self._output_bytes > MAX_WAITING_BYTES:
            return False
        if not self._output:
            asyncio.get_running_loop().call_soon(self._flush)
        self._output += (_HEAD.pack(len(body) + 1, kind), body)
        self._output_bytes += len(body)
        return True

    def close(self) -> None:
        """Send what is queued, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        output, self._output, self._output_bytes = self._output, [], 0
        if output and not self._transport.is_closing():
            self._transport.write(b"".join(output))

    def _refuse(self, reason: str) -> None:
        _log.error("live_bus.peer_refused", reason=reason)
        self._transport.abort()
