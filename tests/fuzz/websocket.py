"""Fuzz target: the reader of WebSocket frames, against itself in other pieces and against
the `websockets` library.

The first byte of the input chooses the pieces, the rest is what a peer sends.
"""

import random
from typing import Final

from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from interfaces.gateway.protocol import (
    CLOSE_INVALID,
    CLOSE_PROTOCOL,
    CLOSE_TOO_BIG,
    Closed,
    Event,
    Violation,
    WebSocketProtocol,
)

MAX_BYTES: Final = 4_096
Verdict = tuple[list[str], int | None]
"""Text messages, and the code with which the connection ends; None: it goes on."""


def check(data: bytes) -> None:
    """Raises an AssertionError when the events depend on the pieces or differ from the oracle's."""
    cuts, stream = data[:1], data[1:]
    whole = WebSocketProtocol(MAX_BYTES).receive(stream)
    assert in_pieces(stream, random.Random(cuts)) == whole, "the pieces matter"
    if len(stream) <= 400:  # the rest is waited for as often as there are bytes
        assert in_bytes(stream) == whole, "the pieces matter"
    ends = [isinstance(event, Closed | Violation) for event in whole]
    assert not any(ends[:-1]), "something came behind the end"
    # One of the two may refuse a frame before it is complete: complete it.
    stream += bytes(MAX_BYTES + 14)
    whole = WebSocketProtocol(MAX_BYTES).receive(stream)
    if not may_differ(whole, stream):
        assert verdict(whole) == oracle(stream)


def in_pieces(stream: bytes, chance: random.Random) -> list[Event]:
    protocol, events, at = WebSocketProtocol(MAX_BYTES), list[Event](), 0
    while at < len(stream):
        size = chance.choice((1, 2, 3, 7, 50, 1_000))
        events += protocol.receive(stream[at : at + size])
        at += size
    return events


def in_bytes(stream: bytes) -> list[Event]:
    protocol, events = WebSocketProtocol(MAX_BYTES), list[Event]()
    for byte in stream:
        events += protocol.receive(bytes((byte,)))
    return events


def verdict(events: list[Event]) -> Verdict:
    texts = [event for event in events if isinstance(event, str)]
    last = events[-1] if events else None
    return texts, last.code if isinstance(last, Closed | Violation) else None


def may_differ(events: list[Event], stream: bytes) -> bool:
    """Where ours and the library differ, both by the RFC: it takes lengths that are not in the
    shortest form, refuses a close frame between fragments (section 5.4 allows it), and of two
    faults of one frame it names the length, or a reason that is no UTF-8, first.
    """
    last = events[-1] if events else None
    code = oracle(stream)[1]
    match last:
        case Violation(reason="length is not the shortest form"):
            return True
        case Violation(reason="a close code that no peer may send"):
            return code in (CLOSE_INVALID, CLOSE_TOO_BIG)
        case Violation(code=ours) if ours == CLOSE_PROTOCOL:
            return code == CLOSE_TOO_BIG
        case Closed():
            return code == CLOSE_PROTOCOL
    return False


def oracle(stream: bytes) -> Verdict:
    """What `websockets` makes of it; it leaves decoding of text to the layer above."""
    server = ServerProtocol(state=State.OPEN, max_size=MAX_BYTES)
    server.receive_data(stream)
    texts: list[str] = []
    parts: list[bytes] = []
    is_text = False
    for frame in server.events_received():
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            is_text, parts = frame.opcode == Opcode.TEXT, []
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            parts.append(bytes(frame.data))
            if frame.fin and is_text:
                try:
                    texts.append(b"".join(parts).decode())
                except UnicodeDecodeError:
                    return texts, CLOSE_INVALID
    if server.close_rcvd is not None and server.parser_exc is None:
        return texts, server.close_rcvd.code
    return texts, server.close_sent.code if server.close_sent else None
