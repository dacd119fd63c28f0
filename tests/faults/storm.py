"""Ten thousand open tabs in one process: WebSocket clients of nothing but bytes.

A library's client costs tens of kilobytes and most of the processor's time; these are frames of
constant parts, as few as the test needs.
"""

import asyncio
import json
import random
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_RETRY_S = 0.5
_ZERO_MASK = b"\0\0\0\0"


@dataclass
class Visitor:
    """Somebody with many tabs open; one of them talks."""

    token: str
    conversation_id: str
    waiting: dict[str, None] = field(default_factory=dict)
    """Refs without an ack."""
    acks: dict[str, int] = field(default_factory=dict)
    """Ref -> seq."""


class Storm:
    """All tabs, and what they met."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.refused: Counter[str] = Counter()
        """Answers that were no WebSocket, by status."""
        self.admitted_at: list[float] = []
        """When each handshake was answered, by the loop's clock."""
        self.tabs: list[Tab] = []
        self.trouble: list[str] = []
        self._random = random.Random(1)

    def open(self, visitor: Visitor, *, talks: bool) -> None:
        """One more tab; it comes back for ever."""
        tab = Tab(self, visitor, talks=talks)
        self.tabs.append(tab)
        tab.come_back(self._random.random() * _RETRY_S)

    def later(self, seconds: float) -> float:
        """As long, or up to twice: those who are sent away together must not come back so."""
        return seconds * (1 + self._random.random())

    def say(self, ref: str) -> None:
        """One more message in each conversation."""
        for tab in self.tabs:
            if tab.talks:
                tab.visitor.waiting[ref] = None
                if tab.subscribed:
                    tab.send(ref)

    def settled(self, messages: int) -> bool:
        """Everybody is there and has heard so many messages."""
        assert not self.trouble, self.trouble[:3]
        return all(tab.subscribed and len(tab.heard) == messages for tab in self.tabs)

    def close(self) -> None:
        """No more."""
        for tab in self.tabs:
            tab.leave()


class Tab(asyncio.Protocol):
    """One connection after the other, each going on where the last one ended."""

    def __init__(self, storm: Storm, visitor: Visitor, *, talks: bool) -> None:
        self.visitor = visitor
        self.talks = talks
        self.subscribed = False
        self.heard: list[str] = []
        """Contents; the one with seq n at n - 1."""
        self._storm = storm
        self._transport: Any = None
        self._buffer = b""
        self._open = False
        self._gone = False
        self._wait_s = _RETRY_S

    def come_back(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, lambda: loop.create_task(self._connect()))

    def leave(self) -> None:
        self._gone = True
        if self._transport is not None:
            self._transport.abort()

    async def _connect(self) -> None:
        if self._gone:
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, "127.0.0.1", self._storm.port)
        except OSError:
            self.come_back(self._storm.later(_RETRY_S))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer, self._open, self._wait_s = b"", False, _RETRY_S
        self._transport.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: kefu.v1\r\nAuthorization: Bearer "
            + self.visitor.token.encode()
            + b"\r\n\r\n"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self.subscribed = None, False
        if not self._gone:
            self.come_back(self._storm.later(self._wait_s))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open and not self._take_answer():
            return
        at, data = 0, self._buffer
        while len(data) - at >= 2:
            size, body = data[at + 1], at + 2
            if size == 126:
                size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if len(data) < body + size:
                break
            self._take(data[at] & 15, data[body : body + size])
            at = body + size
        self._buffer = data[at:]

    def _take_answer(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        status = head.split(b" ", 2)[1].decode()
        if status != "101":
            self._storm.refused[status] += 1
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"retry-after:"):
                    self._wait_s = float(line.split(b":")[1])
            self._transport.abort()
            return False
        self._storm.admitted_at.append(asyncio.get_running_loop().time())
        self._open, self._buffer = True, rest
        self._tell(type="subscribe", after_seq=len(self.heard))
        return True

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == 9:
            self._write(0x8A, body)
        elif opcode == 1:
            frame = json.loads(body)
            getattr(self, f"_on_{frame['type']}", self._on_other)(frame)

    def _on_subscribed(self, frame: dict[str, Any]) -> None:
        self.subscribed = True
        if self.talks:
            for ref in self.visitor.waiting:
                self.send(ref)

    def _on_message(self, frame: dict[str, Any]) -> None:
        if frame["seq"] != len(self.heard) + 1:
            self._storm.trouble.append(f"seq {frame['seq']} after {len(self.heard)}")
        self.heard.append(frame["content"])

    def _on_ack(self, frame: dict[str, Any]) -> None:
        self.visitor.waiting.pop(frame["ref"], None)
        if self.visitor.acks.setdefault(frame["ref"], frame["seq"]) != frame["seq"]:
            self._storm.trouble.append(f"two acks of {frame['ref']} differ")

    def _on_error(self, frame: dict[str, Any]) -> None:
        """The connection is in order and something behind it is not: come back."""
        self._storm.refused[frame["code"]] += 1
        self._transport.abort()

    def _on_other(self, frame: dict[str, Any]) -> None:
        self._storm.trouble.append(f"an unexpected frame: {frame}")

    def send(self, ref: str) -> None:
        self._tell(type="send", ref=ref, content=ref)

    def _tell(self, **frame: Any) -> None:
        frame["conversation_id"] = self.visitor.conversation_id
        self._write(0x81, json.dumps(frame).encode())

    def _write(self, first: int, body: bytes) -> None:
        size = len(body)
        head = (
            struct.pack("!BB", first, 0x80 | size)
            if size < 126
            else struct.pack("!BBH", first, 0x80 | 126, size)
        )
        self._transport.write(head + _ZERO_MASK + body)
