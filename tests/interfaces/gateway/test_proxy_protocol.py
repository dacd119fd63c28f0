"""PROXY protocol v2 (haproxy's proxy-protocol.txt, section 2.2): parser and encoder."""

import struct
from ipaddress import ip_address

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.gateway.proxy_protocol import (
    LOCAL,
    MAX_BYTES,
    SIGNATURE,
    Endpoint,
    Header,
    NoProxyHeader,
    ProxyHeaderChecksum,
    ProxyHeaderTooLong,
    ProxyHeaderVersion,
    ProxyProtocolError,
    encode,
    parse,
)

CLIENT, SERVER = Endpoint("203.0.113.7", 40_000), Endpoint("192.0.2.1", 443)
CLIENT6, SERVER6 = Endpoint("2001:db8::7", 40_000), Endpoint("2001:db8::1", 443)
TCP4 = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 40_000, 443)


def header(command: int, kind: int, block: bytes, *, version: int = 2) -> bytes:
    return SIGNATURE + struct.pack("!BBH", version << 4 | command, kind, len(block)) + block


def tlv(type: int, value: bytes) -> bytes:
    return struct.pack("!BH", type, len(value)) + value


def piece_by_piece(data: bytes, cuts: list[int]) -> tuple[Header | None, str | None]:
    """What comes of the data in pieces: the header, or the error's code."""
    for end in [*sorted(cuts), len(data)]:
        try:
            found = parse(data[:end])
        except ProxyProtocolError as error:
            return None, error.code
        if found is not None:
            return found, None
    return None, None


endpoints4 = st.builds(Endpoint, st.ip_addresses(v=4).map(str), st.integers(0, 65_535))
endpoints6 = st.builds(
    Endpoint,
    st.ip_addresses(v=6).filter(lambda a: ip_address(a).ipv4_mapped is None).map(str),
    st.integers(0, 65_535),
)
endpoints = st.one_of(endpoints4, endpoints6)


@given(endpoints, endpoints, st.booleans(), st.binary(max_size=50), st.data())
def test_what_is_encoded_is_parsed_back_however_the_bytes_are_split(
    source: Endpoint, destination: Endpoint, tls: bool, rest: bytes, data: st.DataObject
) -> None:
    encoded = encode(source, destination, tls=tls)
    cuts = data.draw(st.lists(st.integers(0, len(encoded) + len(rest)), max_size=10))
    found = piece_by_piece(encoded + rest, cuts)
    assert found == (Header(source, destination, tls, len(encoded)), None)


def test_bytes_that_come_one_by_one_give_the_header_with_the_last_one_and_not_before() -> None:
    encoded = encode(CLIENT, SERVER)
    assert [parse(encoded[:n]) for n in range(len(encoded))] == [None] * len(encoded)
    assert parse(encoded) == Header(CLIENT, SERVER, False, len(encoded))
    assert parse(bytearray(encoded)) == parse(encoded)


commands = st.integers(0, 255)
kinds = st.one_of(st.sampled_from([0x00, 0x11, 0x12, 0x21, 0x31]), st.integers(0, 255))
tlvs = st.one_of(
    st.builds(tlv, st.one_of(st.sampled_from([3, 4, 0x20]), st.integers(0, 255)), st.binary()),
    st.binary(max_size=8),
)
blocks = st.builds(
    lambda block, more: block + b"".join(more),
    st.one_of(st.just(TCP4), st.binary(min_size=12, max_size=36), st.binary(max_size=600)),
    st.lists(tlvs, max_size=5),
)
nearly = st.builds(
    lambda command, kind, block, version: header(command, kind, block, version=version),
    st.one_of(st.sampled_from([0, 1]), st.integers(0, 15)),
    kinds,
    blocks,
    st.sampled_from([2, 2, 2, 2, 1, 3]),
)
anything = st.one_of(nearly, nearly, st.binary(max_size=700), nearly.map(lambda h: h[:-1]))


@given(anything, st.lists(st.integers(0, 700), max_size=10))
def test_any_bytes_in_any_pieces_give_one_answer_or_one_documented_error(
    data: bytes, cuts: list[int]
) -> None:
    whole = piece_by_piece(data, [])
    assert piece_by_piece(data, [cut for cut in cuts if cut < len(data)]) == whole
    if len(data) >= MAX_BYTES:
        assert whole != (None, None), "it waits for more than the bound"


@pytest.mark.parametrize("bit", range(len(encode(CLIENT, SERVER)) * 8))
def test_a_bit_that_flipped_on_the_way_never_gives_another_client(bit: int) -> None:
    encoded = bytearray(encode(CLIENT, SERVER))
    encoded[bit // 8] ^= 1 << bit % 8
    try:
        found = parse(encoded)
    except ProxyProtocolError:
        return
    # The flip made it longer, or hid the address, or the checksum under another type.
    assert found is None or found.source is None or found.source == CLIENT


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"GET / HTTP/1.1\r\n", NoProxyHeader),
        (b"\x16\x03\x01\x02\x00", NoProxyHeader),
        (b"\r\n\r\nGET", NoProxyHeader),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", ProxyHeaderVersion),
        (b"PROX", ProxyHeaderVersion),
        (SIGNATURE + b"\x31", ProxyHeaderVersion),
        (SIGNATURE + b"\x21\x11\xff\xff", ProxyHeaderTooLong),
        (header(2, 0x11, TCP4), ProxyProtocolError),
        (header(1, 0x12, TCP4), ProxyProtocolError),
        (header(1, 0x13, TCP4), ProxyProtocolError),
        (header(1, 0x41, TCP4), ProxyProtocolError),
        (header(1, 0x11, TCP4[:-1]), ProxyProtocolError),
        (header(1, 0x21, TCP4), ProxyProtocolError),
        (header(1, 0x31, bytes(215)), ProxyProtocolError),
        (header(1, 0x11, TCP4 + b"\x04\x00"), ProxyProtocolError),
        (header(1, 0x11, TCP4 + b"\x04\x00\x01"), ProxyProtocolError),
        (header(1, 0x11, TCP4 + tlv(3, bytes(3))), ProxyProtocolError),
        (header(1, 0x11, TCP4 + tlv(3, bytes(4))), ProxyHeaderChecksum),
        (header(1, 0x11, TCP4 + tlv(0x20, bytes(4))), ProxyProtocolError),
    ],
)
def test_what_is_no_header_of_version_2_is_refused_by_its_own_error(
    data: bytes, error: type[ProxyProtocolError]
) -> None:
    with pytest.raises(error) as caught:
        parse(data)
    assert type(caught.value) is error


def test_version_1_is_refused_with_the_words_what_to_set() -> None:
    with pytest.raises(ProxyHeaderVersion, match="set the proxy to version 2"):
        parse(b"PROXY TCP6 ::1 ::1 1 2\r\n")


def test_every_error_has_a_code_of_its_own() -> None:
    errors = [ProxyProtocolError, *ProxyProtocolError.__subclasses__()]
    assert len({error.code for error in errors}) == len(errors) == 5


@pytest.mark.parametrize(
    "data",
    [
        LOCAL,
        header(0, 0x11, TCP4),
        header(0, 0xFF, b"whatever it is"),
        header(1, 0x00, b"\x01\x02"),
        header(1, 0x01, b""),
        header(1, 0x10, TCP4),
        header(1, 0x31, bytes(216)),
    ],
    ids=["local", "local tcp4", "local junk", "unspec", "unspec stream", "inet unspec", "unix"],
)
def test_without_a_network_address_the_peers_own_stands(data: bytes) -> None:
    assert parse(data + b"GET /") == Header(None, None, False, len(data))


def test_unknown_tlvs_are_passed_over_and_the_checksum_may_stand_anywhere() -> None:
    more = tlv(0x04, b"") + tlv(0x01, b"h2") + tlv(0xEA, bytes(60))
    block = TCP4 + more[:8]
    at = 16 + len(block) + 3
    plain = header(1, 0x11, block + tlv(3, bytes(4)) + more[8:])
    checksum = google_crc32c.value(plain).to_bytes(4, "big")
    found = parse(plain[:at] + checksum + plain[at + 4 :])
    assert found == Header(CLIENT, SERVER, False, len(plain))


@pytest.mark.parametrize(("flags", "tls"), [(0, False), (1, True), (7, True), (6, False)])
def test_the_ssl_tlv_says_whether_the_client_spoke_tls(flags: int, tls: bool) -> None:
    value = bytes([flags, 0, 0, 0, 0]) + tlv(0x21, b"TLSv1.3")
    found = parse(header(1, 0x11, TCP4 + tlv(0x20, value)))
    assert found is not None
    assert found.tls is tls


def test_a_header_may_fill_the_bound_and_no_more() -> None:
    room = MAX_BYTES - 16 - len(TCP4) - 3
    assert parse(header(1, 0x11, TCP4 + tlv(4, bytes(room)))) is not None
    with pytest.raises(ProxyHeaderTooLong):
        parse(header(1, 0x11, TCP4 + tlv(4, bytes(room + 1)))[:16])


def test_a_mapped_address_is_the_ipv4_address() -> None:
    mapped = Endpoint("::ffff:203.0.113.7", 40_000)
    found = parse(encode(mapped, SERVER6))
    assert found is not None
    assert (found.source, found.destination) == (CLIENT, SERVER6)
    assert parse(encode(CLIENT, SERVER6)) == found


@pytest.mark.parametrize("host", ["", "localhost", "1.2.3"])
def test_only_addresses_are_encoded(host: str) -> None:
    with pytest.raises(ValueError, match="address"):
        encode(Endpoint(host, 1), SERVER)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_only_ports_are_encoded(port: int) -> None:
    with pytest.raises(ValueError, match="ports"):
        encode(Endpoint("192.0.2.1", port), SERVER)
