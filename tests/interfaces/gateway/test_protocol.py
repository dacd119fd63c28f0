"""RFC 6455 behind the handshake: what is read, what is refused and with which close code."""

import struct

import pytest

from interfaces.gateway import protocol
from interfaces.gateway.protocol import (
    Binary,
    Closed,
    Event,
    Ping,
    Pong,
    Violation,
    WebSocketProtocol,
)

MASK = b"\x11\x22\x33\x44"
FIN = 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_BYTES = 1_000


def frame(first: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """A frame of a client."""
    size = len(payload)
    if size < 126:
        header = bytes((first, 0x80 | size))
    elif size < 65_536:
        header = struct.pack("!BBH", first, 0xFE, size)
    else:
        header = struct.pack("!BBQ", first, 0xFF, size)
    return header + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


def receive(*data: bytes, max_bytes: int = MAX_BYTES) -> list[Event]:
    reader = WebSocketProtocol(max_bytes)
    return [event for piece in data for event in reader.receive(piece)]


def refused(*data: bytes, max_bytes: int = MAX_BYTES) -> int:
    """The code of the violation, which is the last event."""
    *_, last = receive(*data, max_bytes=max_bytes)
    assert isinstance(last, Violation)
    assert last.reason
    return last.code


@pytest.mark.parametrize("text", ["", "hi", "你好, мир 🎉", "x" * 125, "x" * 126, "x" * 1_000])
def test_a_text_frame_is_a_message(text: str) -> None:
    assert receive(frame(FIN | TEXT, text.encode())) == [text]


@pytest.mark.parametrize("size", [65_535, 65_536, 200_000])
def test_long_messages_have_longer_lengths(size: int) -> None:
    assert receive(frame(FIN | TEXT, b"x" * size), max_bytes=size) == ["x" * size]


def test_several_frames_in_one_piece_are_several_events() -> None:
    data = frame(FIN | TEXT, b"a") + frame(FIN | PING, b"p") + frame(FIN | TEXT, b"b")
    assert receive(data) == ["a", Ping(b"p"), "b"]


def test_a_frame_may_arrive_byte_by_byte() -> None:
    data = frame(FIN | TEXT, b"x" * 300) + frame(FIN | TEXT, b"y")
    assert receive(*(bytes((byte,)) for byte in data)) == ["x" * 300, "y"]


def test_nothing_is_a_message_before_its_last_byte() -> None:
    reader = WebSocketProtocol(MAX_BYTES)
    data = frame(FIN | TEXT, b"hello")
    assert reader.receive(data[:-1]) == []
    assert reader.receive(data[-1:]) == ["hello"]


def test_fragments_are_one_message() -> None:
    data = frame(TEXT, b"a"), frame(CONTINUATION, b"b"), frame(FIN | CONTINUATION, b"c")
    assert receive(*data, frame(FIN | TEXT, b"next")) == ["abc", "next"]


def test_a_character_may_be_divided_between_fragments() -> None:
    first, second = "你".encode()[:1], "你".encode()[1:]
    assert receive(frame(TEXT, first), frame(FIN | CONTINUATION, second)) == ["你"]


def test_fragments_may_be_empty() -> None:
    assert receive(frame(TEXT), frame(CONTINUATION), frame(FIN | CONTINUATION)) == [""]


def test_control_frames_between_fragments_are_answered_at_once() -> None:
    events = receive(
        frame(TEXT, b"a"),
        frame(FIN | PING, b"1"),
        frame(FIN | PONG, b"2"),
        frame(FIN | CONTINUATION, b"b"),
    )
    assert events == [Ping(b"1"), Pong(b"2"), "ab"]


def test_a_close_frame_between_fragments_ends_the_connection() -> None:
    close = frame(FIN | CLOSE, struct.pack("!H", 1001))
    assert receive(frame(TEXT, b"a"), close) == [Closed(1001)]


def test_binary_messages_are_seen_but_not_kept() -> None:
    data = frame(FIN | BINARY, b"\xff"), frame(BINARY, b"\xff"), frame(FIN | CONTINUATION, b"\xfe")
    assert receive(*data) == [Binary(), Binary()]


def test_an_unmasked_frame_is_a_protocol_error() -> None:
    assert refused(bytes((FIN | TEXT, 2)) + b"hi") == 1002


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
def test_a_reserved_bit_is_a_protocol_error(bit: int) -> None:
    assert refused(frame(FIN | bit | TEXT, b"x")) == 1002


@pytest.mark.parametrize("opcode", [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF])
def test_an_unknown_opcode_is_a_protocol_error(opcode: int) -> None:
    assert refused(frame(FIN | opcode)) == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_control_frame_is_whole_and_short(opcode: int) -> None:
    assert refused(frame(opcode, b"")) == 1002
    assert refused(frame(FIN | opcode, b"x" * 126)) == 1002


def test_a_ping_may_have_125_bytes() -> None:
    assert receive(frame(FIN | PING, b"x" * 125)) == [Ping(b"x" * 125)]


def test_a_continuation_of_nothing_is_a_protocol_error() -> None:
    assert refused(frame(FIN | CONTINUATION, b"x")) == 1002
    assert refused(frame(FIN | TEXT, b"whole"), frame(CONTINUATION, b"x")) == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_new_message_between_fragments_is_a_protocol_error(opcode: int) -> None:
    assert refused(frame(TEXT, b"a"), frame(FIN | opcode, b"b")) == 1002


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("!BBH", FIN | TEXT, 0xFE, 125),
        struct.pack("!BBH", FIN | TEXT, 0xFE, 0),
        struct.pack("!BBQ", FIN | TEXT, 0xFF, 65_535),
        struct.pack("!BBQ", FIN | TEXT, 0xFF, 5),
    ],
)
def test_a_length_that_is_not_in_the_shortest_form_is_a_protocol_error(header: bytes) -> None:
    assert refused(header + MASK) == 1002


def test_a_message_that_is_too_long_is_refused_before_it_has_arrived() -> None:
    assert receive(frame(FIN | TEXT, b"x" * MAX_BYTES)) == ["x" * MAX_BYTES]
    header = frame(FIN | TEXT, b"x" * (MAX_BYTES + 1))[:8]
    assert refused(header) == 1009
    assert refused(struct.pack("!BBQ", FIN | TEXT, 0xFF, 2**63) + MASK) == 1009


def test_all_fragments_together_are_limited() -> None:
    half = b"x" * (MAX_BYTES // 2)
    assert receive(frame(TEXT, half), frame(FIN | CONTINUATION, half)) == ["x" * MAX_BYTES]
    assert refused(frame(TEXT, half), frame(CONTINUATION, half), frame(CONTINUATION, b"y")) == 1009


def test_the_limit_counts_each_message_anew() -> None:
    half = b"x" * (MAX_BYTES // 2 + 1)
    message = frame(TEXT, half) + frame(FIN | CONTINUATION, b"y")
    assert len(receive(message * 3)) == 3


def test_empty_fragments_without_end_are_refused() -> None:
    assert refused(frame(TEXT), *[frame(CONTINUATION)] * 2_000) == 1009


@pytest.mark.parametrize("payload", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"ok\xf8"])
def test_text_that_is_not_utf8_is_invalid(payload: bytes) -> None:
    assert refused(frame(FIN | TEXT, payload)) == 1007
    assert refused(frame(TEXT, payload), frame(FIN | CONTINUATION)) == 1007


def test_a_close_frame_without_a_code_is_1005() -> None:
    assert receive(frame(FIN | CLOSE)) == [Closed(1005)]


def test_a_close_frame_with_half_a_code_is_a_protocol_error() -> None:
    assert refused(frame(FIN | CLOSE, b"\x03")) == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4999])
def test_codes_that_a_peer_may_send_close_the_connection(code: int) -> None:
    payload = struct.pack("!H", code) + "再见".encode()
    assert receive(frame(FIN | CLOSE, payload)) == [Closed(code)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535])
def test_codes_that_no_peer_may_send_are_a_protocol_error(code: int) -> None:
    assert refused(frame(FIN | CLOSE, struct.pack("!H", code))) == 1002


def test_a_close_reason_is_utf8() -> None:
    assert refused(frame(FIN | CLOSE, struct.pack("!H", 1000) + b"\xff")) == 1007


@pytest.mark.parametrize(
    "end", [frame(FIN | CLOSE), frame(FIN | CONTINUATION), frame(FIN | TEXT, b"\xff")]
)
def test_nothing_is_read_behind_the_end(end: bytes) -> None:
    reader = WebSocketProtocol(MAX_BYTES)
    assert len(reader.receive(end + frame(FIN | TEXT, b"late"))) == 1
    assert reader.receive(frame(FIN | TEXT, b"later")) == []


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_text_header_has_the_shortest_length(length: int, header: bytes) -> None:
    assert protocol.text_header(length) == header


def test_pings_and_pongs_are_whole_unmasked_frames() -> None:
    assert protocol.ping() == b"\x89\x00"
    assert protocol.ping(b"ab") == b"\x89\x02ab"
    assert protocol.pong(b"ab") == b"\x8a\x02ab"


def test_a_close_frame_has_code_and_reason() -> None:
    assert protocol.close(1000) == b"\x88\x02\x03\xe8"
    assert protocol.close(1008, "no") == b"\x88\x04\x03\xf0no"
    assert protocol.close(1005) == b"\x88\x00", "1005 is never on the wire"


def test_a_long_reason_is_cut_between_characters() -> None:
    data = protocol.close(1008, "你" * 100)
    assert len(data) == 2 + data[1] <= 127
    assert data[4:].decode() == "你" * 41
