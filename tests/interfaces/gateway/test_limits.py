"""Limits: who is refused and with which code; refusals are counted and do not flood the log."""

from typing import Any

import msgspec
import pytest

from interfaces.gateway import protocol
from interfaces.gateway.client_keys import address_key, network_key
from interfaces.gateway.limits import Deadlines, Limits, Refusal
from interfaces.settings import load

HOME, OTHER = "203.0.113.7", "198.51.100.9"
NONE = msgspec.structs.replace(
    load({}),
    connections_per_address=0,
    connects_per_s=0,
    admissions_per_s=0,
    address_messages_per_s=0,
    contact_messages_per_s=0,
    agent_messages_per_s=0,
    control_frames_per_s=0,
)


class _Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(event)


def _limits(**changed: float) -> Limits:
    return Limits(msgspec.structs.replace(NONE, **changed), _Lines(), 0.0)


def test_an_address_has_so_many_connections_open_at_once_and_no_more() -> None:
    limits = _limits(connections_per_address=2)
    assert [limits.connecting(n, HOME, 0) for n in (1, 2)] == [None, None]
    refused = limits.connecting(3, HOME, 0)
    assert refused is not None
    assert (refused.why, refused.why.close_code) == (Refusal.CONNECTIONS_OPEN, 1008)
    assert limits.connecting(4, OTHER, 0) is None
    limits.closed(3)
    assert limits.connecting(5, HOME, 0) is not None
    limits.closed(1)
    limits.closed(1)
    assert limits.connecting(6, HOME, 0) is None
    assert limits.connecting(7, HOME, 0) is not None


def test_an_address_opens_so_many_a_second_after_its_burst() -> None:
    limits = _limits(connects_per_s=1)
    answers = [limits.connecting(n, HOME, 0) for n in range(1, 14)]
    assert answers[:10] == [None] * 10
    assert {(one.why, one.why.close_code, one.why.status) for one in answers[10:] if one} == {
        (Refusal.CONNECTS, 1013, 429)
    }
    assert limits.connecting(20, HOME, 1) is None


def test_one_ipv6_site_is_one_address() -> None:
    limits = _limits(connections_per_address=1)
    assert limits.connecting(1, "2001:db8:1:2::1", 0) is None
    assert limits.connecting(2, "2001:db8:1:2:ffff::9", 0) is not None


def test_a_storm_is_admitted_at_the_rate_and_sent_away_over_the_time_that_it_takes() -> None:
    limits = _limits(admissions_per_s=100)
    answers = [limits.connecting(n, f"10.0.{n >> 8}.{n & 255}", 0) for n in range(1, 10_001)]
    assert answers[:500] == [None] * 500
    refused = [one for one in answers[500:] if one is not None]
    assert len(refused) == 9_500
    assert {(one.why, one.why.status, one.why.close_code) for one in refused} == {
        (Refusal.ADMISSION, 503, 1013)
    }
    per_second = [sum(one.retry_after_s == second for one in refused) for second in range(1, 96)]
    assert set(per_second) <= {99, 100, 101}
    assert limits.refused[Refusal.ADMISSION] == 9_500


def test_a_storm_that_comes_back_when_told_is_let_in_whole() -> None:
    limits = _limits(admissions_per_s=100)
    coming = {0: list(range(1, 5_001))}
    admitted = 0
    for second in range(60):
        for id_ in coming.pop(second, []):
            refused = limits.connecting(id_, HOME, second)
            if refused is None:
                admitted += 1
            else:
                coming.setdefault(second + refused.retry_after_s, []).append(id_)
    assert admitted == 5_000


def test_messages_are_limited_by_contact_agent_and_address() -> None:
    limits = _limits(contact_messages_per_s=1, agent_messages_per_s=2, address_messages_per_s=4)
    for id_ in range(1, 9):
        assert limits.connecting(id_, HOME, 0) is None
    assert [limits.message(1, "ann", 0, staff=False) for _ in range(6)] == [
        *[None] * 5,
        Refusal.CONTACT_MESSAGES,
    ]
    assert limits.message(2, "bob", 0, staff=True, count=10) is None
    assert limits.message(2, "bob", 0, staff=True) is Refusal.AGENT_MESSAGES
    assert limits.message(3, "cid", 0, staff=False, count=5) is None
    assert limits.message(4, "dan", 0, staff=False) is Refusal.ADDRESS_MESSAGES
    assert limits.message(1, "ann", 1, staff=False) is None


def test_a_ping_flood_is_refused_and_a_client_that_pings_now_and_then_is_not() -> None:
    limits = _limits(control_frames_per_s=5)
    assert all(limits.control(1, second) is None for second in range(100))
    answers = [limits.control(2, 0.0) for _ in range(26)]
    assert answers == [*[None] * 25, Refusal.CONTROL_FRAMES]
    assert Refusal.CONTROL_FRAMES.close_code == 1008


def test_a_handshake_that_drips_in_is_closed_at_its_deadline_and_one_that_ends_is_not() -> None:
    limits = _limits(handshake_s=10)
    limits.handshakes.begin(1)
    limits.handshakes.begin(2)
    limits.handshakes.end(2)
    closed: list[tuple[float, int, Refusal]] = []
    for tick in range(40):
        now = tick / 2
        limits.handshakes.begin(1) if tick < 20 else None  # each byte of the drip
        closed += [(now, *one) for one in limits.due(now)]
    ((at, id_, why),) = closed
    assert (id_, why, why.status) == (1, Refusal.HANDSHAKE_TIME, 408)
    assert 10 <= at <= 11


def test_a_message_in_fragments_without_end_is_closed_at_its_deadline() -> None:
    limits = _limits(message_s=5)
    reader = protocol.WebSocketProtocol(1024)
    fragment = bytes((0x80, 0, 0, 0, 0))
    data, closed = b"\x01" + fragment, list[tuple[int, Refusal]]()
    for tick in range(14):
        assert reader.receive(data) == []
        assert reader.unfinished
        limits.messages.begin(9)
        closed += limits.due(tick / 2)
        data = b"\x00" + fragment
    assert closed[0] == (9, Refusal.MESSAGE_TIME)
    assert closed[0][1].close_code == 1008


def test_a_reader_is_unfinished_exactly_while_something_is_missing() -> None:
    reader = protocol.WebSocketProtocol(1024)
    frame = bytes((0x81, 0x82, 0, 0, 0, 0)) + b"hi"
    assert not reader.unfinished
    for byte in frame[:-1]:
        assert reader.receive(bytes((byte,))) == []
        assert reader.unfinished
    assert reader.receive(frame[-1:]) == ["hi"]
    assert not reader.unfinished


def test_a_deadline_does_not_run_while_the_process_stands_still() -> None:
    deadlines = Deadlines(10, 0.0)
    deadlines.begin(1)
    assert deadlines.due(1000.0) == []
    deadlines.begin(2)
    later = [id_ for n in range(1, 40) for id_ in deadlines.due(1000.0 + n / 2)]
    assert later == [1, 2]


@pytest.mark.parametrize(
    ("data", "code", "why"),
    [
        (b"\x81\x02hi", 1002, Refusal.PROTOCOL),
        (bytes((0x81, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0)), 1009, Refusal.TOO_BIG),
        (bytes((0x81, 0x81, 0, 0, 0, 0, 0xFF)), 1007, Refusal.INVALID),
        (
            bytes((0x01, 0x80, 0, 0, 0, 0)) + bytes((0x00, 0x80, 0, 0, 0, 0)) * 1024,
            1009,
            Refusal.TOO_BIG,
        ),
    ],
    ids=["unmasked", "oversized", "not UTF-8", "1,025 fragments"],
)
def test_violations_have_their_code_and_are_counted(data: bytes, code: int, why: Refusal) -> None:
    limits = _limits()
    (event,) = protocol.WebSocketProtocol(1024).receive(data)
    assert isinstance(event, protocol.Violation)
    assert (event.code, limits.violated(event, 0.0)) == (code, why)
    assert why.close_code == code
    assert limits.refused[why] == 1


def test_a_flood_of_refusals_is_counted_whole_and_logged_at_a_bounded_rate() -> None:
    log = _Lines()
    limits = Limits(msgspec.structs.replace(NONE, control_frames_per_s=1), log, 0.0)
    for n in range(10_000):
        limits.control(1, n / 1000)
    for n in range(40):
        limits.due(10 + n / 2)
    assert limits.refused[Refusal.CONTROL_FRAMES] > 9_900
    assert log.lines == ["gateway.refused.control_frames"] * 2


def test_every_refusal_has_a_code_a_status_and_a_reason_that_fits_a_close_frame() -> None:
    for why in Refusal:
        assert why.close_code in (1002, 1007, 1008, 1009, 1013)
        assert why.status in (408, 429, 503)
        assert 0 < len(why.reason.encode()) <= 123


def test_without_limits_everything_goes() -> None:
    limits = _limits()
    for n in range(1, 2000):
        assert limits.connecting(n, HOME, 0) is None
        assert limits.message(n, "ann", 0, staff=False, count=1000) is None
        assert limits.control(n, 0, 1000) is None


def test_a_connection_without_an_address_is_limited_by_admission_alone() -> None:
    limits = _limits(connections_per_address=1, connects_per_s=1, admissions_per_s=10)
    answers = [limits.connecting(n, "", 0) for n in range(1, 60)]
    assert [one.why for one in answers if one] == [Refusal.ADMISSION] * 9


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.200", True),
        ("203.0.113.7", "203.0.114.7", False),
        ("203.0.113.7", "::ffff:203.0.113.9", True),
        ("2001:db8:1::1", "2001:db8:1:ffff::1", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_networks_are_ipv4_24_and_ipv6_48(one: str, other: str, same: bool) -> None:
    assert (network_key(one) == network_key(other)) is same
    assert 0 < network_key(one) < 1 << 30


@pytest.mark.parametrize(
    "address",
    ["", "unix:", "host.example", "1.2.3.4.5", "1.2.3", "1.2.3.4 x", "\0.1", "::1::2", "é.1"],
)
def test_what_is_no_address_has_no_key(address: str) -> None:
    assert (network_key(address), address_key(address)) == (0, 0)
