"""A remote's connection to the feed: frames in, signs of life out."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, cast

import msgspec
import structlog

from application.ports.event_store import RecordedEvent
from infrastructure.ipc.protocol import FrameBuffer, ProtocolError
from infrastructure.link.protocol import (
    MAX_ALIVE_BYTES,
    MAX_BATCH_BYTES,
    SILENCE_S,
    Alive,
    LinkProtocolError,
    decode_batch,
    events_of,
    frame,
)

_log = structlog.get_logger(__name__)

_MAX_WAITING_BYTES: Final = 64 * 1024
"""Signs of life for a link that does not hear them are left out."""


class FeedEnd(Protocol):
    """Whose connection it is."""

    def took(self, events: Sequence[RecordedEvent], log_end: int) -> bool: ...


class FeedConnection(asyncio.Protocol):
    """One connection; what comes before `start` waits."""

    def __init__(self, feed: FeedEnd) -> None:
        self.lost = asyncio.Event()
        self._feed = feed
        self._frames = FrameBuffer(MAX_BATCH_BYTES)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._started = False
        self._early = b""
        self._paused = False

    def start(self) -> None:
        """Give the feed what comes."""
        self._started = True
        self._heard_at = self._loop.time()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def silent(self) -> bool:
        """The link has said nothing for too long; while nobody listens that means nothing."""
        return not self._paused and self._loop.time() - self._heard_at > SILENCE_S

    def say(self, metrics: bytes | None) -> None:
        """A sign of life."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > _MAX_WAITING_BYTES:
            return
        if metrics is not None and len(metrics) > MAX_ALIVE_BYTES - 100:
            metrics = None
        transport.write(frame(Alive(metrics)))

    def listen(self) -> None:
        """Go on."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        """End it now."""
        self._started = False
        self.lost.set()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are none.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        if not self._started:
            self._early += data
            return
        self._heard_at = self._loop.time()
        room = True
        try:
            for body in self._frames.feed(data):
                batch = decode_batch(body)
                room = self._feed.took(events_of(batch), batch.durable)
        except (ProtocolError, LinkProtocolError, msgspec.MsgspecError) as error:
            _log.error("link.bad_frame", error=str(error))
            self.abort()
            return
        if not room and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
