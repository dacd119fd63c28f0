"""TCP_INFO and the kernel's keepalive: on TCP they work, elsewhere they say that they do not."""

import socket
import sys
from collections.abc import Iterator

import pytest

from interfaces.gateway import tcp_info
from tests.tools import missing


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    if sys.platform != "linux":
        missing("TCP_INFO is Linux's")
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
    with client, peer:
        yield client, peer


def test_a_tcp_connection_has_a_round_trip_time_and_no_retransmits_on_loopback(
    tcp: tuple[socket.socket, socket.socket],
) -> None:
    client, peer = tcp
    for _ in range(3):
        client.sendall(b"there")
        peer.recv(5)
        peer.sendall(b"back")
        client.recv(4)
    sample = tcp_info.sample(client)
    assert sample is not None
    assert 0 < sample.rtt_us < 1_000_000
    assert sample.rttvar_us < 1_000_000
    assert sample.retransmits == 0


def test_the_kernel_gives_up_what_is_not_acknowledged_and_probes_nobody(
    tcp: tuple[socket.socket, socket.socket],
) -> None:
    connection = tcp[0]
    assert tcp_info.give_up_after(connection, 360)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 360_000
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


def test_a_unix_socket_has_neither_and_that_is_no_error() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert tcp_info.sample(one) is None
        assert tcp_info.give_up_after(one, 360) is False


def test_a_closed_socket_has_neither_and_that_is_no_error() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    one.close()
    other.close()
    assert tcp_info.sample(one) is None
    assert tcp_info.give_up_after(one, 360) is False
