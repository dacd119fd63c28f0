"""What the kernel knows of a TCP connection, and when it gives one up. Linux only.

Elsewhere, and on sockets that are no TCP (a Unix socket), there is nothing to ask or set: the
functions say so and raise nothing. A socket under TLS is as good as any.
"""

import socket
import struct
import sys
from typing import Final, NamedTuple

_SIZE: Final = 104
"""`struct tcp_info` of linux/tcp.h up to and with tcpi_total_retrans; it only ever grew behind."""
_RTT_RTTVAR: Final = struct.Struct("=II")
_RTT_OFFSET: Final = 68
_TOTAL_RETRANS: Final = struct.Struct("=I")
_TOTAL_RETRANS_OFFSET: Final = 100
_MOST_S: Final = 32_767
"""tcp(7): MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL."""


class TcpSample(NamedTuple):
    """How a connection's packets fare. Behind a proxy that is the way to the proxy."""

    rtt_us: int
    """Smoothed round-trip time (RFC 6298)."""
    rttvar_us: int
    """Its mean deviation."""
    retransmits: int
    """Segments sent again since the connection began."""


def sample(connection: socket.socket) -> TcpSample | None:
    """TCP_INFO, about 1 us; None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return None
    if len(info) < _SIZE:
        return None
    rtt_us, rttvar_us = _RTT_RTTVAR.unpack_from(info, _RTT_OFFSET)
    (retransmits,) = _TOTAL_RETRANS.unpack_from(info, _TOTAL_RETRANS_OFFSET)
    return TcpSample(rtt_us, rttvar_us, retransmits)


def give_up_after(connection: socket.socket, seconds: int) -> bool:
    """Let the kernel end a connection that has not acknowledged what was sent for so long, with
    ETIMEDOUT (TCP_USER_TIMEOUT, RFC 5482); inherited by what a listener accepts.

    TCP's own keepalive is left off: pings find the dead, and with very many silent connections its
    probes kill the living. Linux rounds timers of minutes to 16 s, so all that fall due within that
    go out at once, and what the queue of the device (1,000 packets) does not take is lost, three
    times in a row: 362,000 of a million connections ended so in `benchmarks.million`.

    Returns:
        Whether it was set.
    """
    if sys.platform != "linux":
        return False
    timeout_ms = min(max(seconds, 1), _MOST_S) * 1000
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    except OSError:
        return False
    return True
