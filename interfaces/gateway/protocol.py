"""The server's side of RFC 6455 behind the handshake: bytes in, events out. No I/O, no clock.

The handshake is left to a library; this is the path of every frame. Compression (RFC 7692) is not
offered: it costs about a whole echo a message, and 45 KB and more a connection.
"""

import struct
from typing import Final, NamedTuple

from websockets.speedups import apply_mask

CLOSE_NORMAL: Final = 1000
CLOSE_PROTOCOL: Final = 1002
CLOSE_INVALID: Final = 1007
CLOSE_TOO_BIG: Final = 1009
_NO_CODE: Final = 1005
"""RFC 6455 section 7.1.5: a close frame without a code; never on the wire."""

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_MAX_CONTROL_BYTES: Final = 125
_LENGTH_16: Final = struct.Struct("!H")
_LENGTH_64: Final = struct.Struct("!Q")
_HEADER_16: Final = struct.Struct("!BBH")
_HEADER_64: Final = struct.Struct("!BBQ")
_SHORT_TEXT_HEADERS: Final = tuple(bytes((_FIN | _TEXT, n)) for n in range(126))
_MAX_FRAGMENTS: Final = 1_024
"""Of one message: fragments without end cost more than their bytes."""


class Binary(NamedTuple):
    """A binary message arrived; its content is not kept."""


class Ping(NamedTuple):
    """Answer it with `pong(payload)`."""

    payload: bytes


class Pong(NamedTuple):
    """The answer to a ping, or an unasked one."""

    payload: bytes


class Closed(NamedTuple):
    """The peer sent a close frame: nothing comes behind it. Answer with `close(code)`."""

    code: int
    """1005 when it gave none."""


class Violation(NamedTuple):
    """The peer broke the protocol: nothing behind it can be read. Close with the code."""

    code: int
    reason: str


Event = str | Binary | Ping | Pong | Closed | Violation
"""A string is a text message."""


class WebSocketProtocol:
    """One connection's reader.

    Args:
        max_bytes: Of one message, all fragments together.
    """

    __slots__ = ("_buffer", "_done", "_fragments", "_kind", "_max_bytes", "_size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = b""
        self._kind = _CONTINUATION
        """Opcode of the message whose fragments are arriving; continuation: none is."""
        self._fragments: list[bytes] | None = None
        self._size = 0
        self._done = False

    @property
    def unfinished(self) -> bool:
        """Whether a message or frame has arrived in part; it must not stay so for ever."""
        return bool(self._buffer) or self._fragments is not None

    def receive(self, data: bytes) -> list[Event]:
        """Events of the frames that are complete with this data, in order."""
        if self._done:
            return []
        if self._buffer:
            data = self._buffer + data
        events: list[Event] = []
        at, end = 0, len(data)
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            length, start = second & 0x7F, at + 6
            if length > _MAX_CONTROL_BYTES:
                if length == 126:
                    start = at + 8
                    if end < start:
                        break
                    (length,) = _LENGTH_16.unpack_from(data, at + 2)
                    minimal = length >= 126
                else:
                    start = at + 14
                    if end < start:
                        break
                    (length,) = _LENGTH_64.unpack_from(data, at + 2)
                    minimal = length >= 1 << 16
                if not minimal:
                    events.append(self._stop(CLOSE_PROTOCOL, "length is not the shortest form"))
                    return events
            wrong = self._check(first, second, length)
            if wrong is not None:
                events.append(wrong)
                return events
            stop = start + length
            if end < stop:
                break
            payload = apply_mask(data[start:stop], data[start - 4 : start]) if length else b""
            at = stop
            # A text frame that is a whole message is nearly every frame.
            whole = first == _FIN | _TEXT
            event = self._text(payload) if whole else self._rare(first, payload)
            if event is not None:
                events.append(event)
                if isinstance(event, Closed | Violation):
                    return events
        self._buffer = data[at:] if at else data
        return events

    def _check(self, first: int, second: int, length: int) -> Violation | None:
        """The rules of a frame's header, before its payload is waited for."""
        if not second & _MASKED:
            return self._stop(CLOSE_PROTOCOL, "frames of a client are masked")
        if first & _RESERVED:
            return self._stop(CLOSE_PROTOCOL, "a reserved bit is set")
        opcode = first & 0x0F
        if opcode & 0x8:
            if opcode > _PONG:
                return self._stop(CLOSE_PROTOCOL, "unknown opcode")
            if not first & _FIN or length > _MAX_CONTROL_BYTES:
                return self._stop(CLOSE_PROTOCOL, "control frames are whole and short")
            return None
        if opcode > _BINARY:
            return self._stop(CLOSE_PROTOCOL, "unknown opcode")
        if (opcode == _CONTINUATION) is (self._fragments is None):
            return self._stop(CLOSE_PROTOCOL, "fragments out of order")
        if self._size + length > self._max_bytes:
            return self._stop(CLOSE_TOO_BIG, f"a message has at most {self._max_bytes} bytes")
        return None

    def _text(self, payload: bytes) -> Event:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return self._stop(CLOSE_INVALID, "text is UTF-8")

    def _rare(self, first: int, payload: bytes) -> Event | None:
        opcode = first & 0x0F
        if opcode == _PING:
            return Ping(payload)
        if opcode == _PONG:
            return Pong(payload)
        if opcode == _CLOSE:
            return self._closed(payload)
        if self._fragments is None:
            self._kind, self._fragments = opcode, []
        self._fragments.append(payload)
        self._size += len(payload)
        if not first & _FIN:
            if len(self._fragments) > _MAX_FRAGMENTS:
                return self._stop(CLOSE_TOO_BIG, f"at most {_MAX_FRAGMENTS} fragments a message")
            return None
        whole, kind = b"".join(self._fragments), self._kind
        self._fragments, self._size = None, 0
        return self._text(whole) if kind == _TEXT else Binary()

    def _closed(self, payload: bytes) -> Event:
        if not payload:
            self._done = True
            return Closed(_NO_CODE)
        if len(payload) == 1:
            return self._stop(CLOSE_PROTOCOL, "half a close code")
        (code,) = _LENGTH_16.unpack_from(payload)
        if not _may_be_sent(code):
            return self._stop(CLOSE_PROTOCOL, "a close code that no peer may send")
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            return self._stop(CLOSE_INVALID, "text is UTF-8")
        self._done = True
        return Closed(code)

    def _stop(self, code: int, reason: str) -> Violation:
        self._done = True
        self._buffer = b""
        self._fragments = None
        return Violation(code, reason)


def text_header(length: int) -> bytes:
    """What stands before a text message of that many bytes."""
    if length < 126:
        return _SHORT_TEXT_HEADERS[length]
    if length < 1 << 16:
        return _HEADER_16.pack(_FIN | _TEXT, 126, length)
    return _HEADER_64.pack(_FIN | _TEXT, 127, length)


def ping(payload: bytes = b"") -> bytes:
    """A ping frame; at most 125 bytes."""
    return bytes((_FIN | _PING, len(payload))) + payload


def pong(payload: bytes) -> bytes:
    """The answer to a ping."""
    return bytes((_FIN | _PONG, len(payload))) + payload


def close(code: int, reason: str = "") -> bytes:
    """A close frame; a reason is cut to what a control frame holds."""
    if code == _NO_CODE:
        return bytes((_FIN | _CLOSE, 0))
    text = reason.encode()[: _MAX_CONTROL_BYTES - 2].decode(errors="ignore").encode()
    body = _LENGTH_16.pack(code) + text
    return bytes((_FIN | _CLOSE, len(body))) + body


def _may_be_sent(code: int) -> bool:
    """RFC 6455 section 7.4 and the IANA registry of close codes."""
    return code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code < 5000
