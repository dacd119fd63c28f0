"""What the kernel knows of a TCP connection, and its own keepalive as a backstop. Linux only.

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
_MOST_PROBES: Final = 127


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


def keep_alive(connection: socket.socket, idle_s: int, interval_s: int, probes: int) -> bool:
    """Let the kernel end a connection whose peer is gone, with ETIMEDOUT; about 3 us.

    Keepalive probes find a dead peer only while nothing is in flight (RFC 9293 section 3.8.4), and
    TCP_USER_TIMEOUT (RFC 5482) only while something is, so both are set, to the same time.

    Args:
        idle_s: Silence before the first probe. Each probe holds the network's mappings open as a
            ping does, so make it longer than the longest interval between pings, or those learn
            nothing.
        interval_s: Between probes.
        probes: Unanswered ones that end the connection.

    Returns:
        Whether it was set.
    """
    if sys.platform != "linux":
        return False
    idle_s = min(max(idle_s, 1), _MOST_S)
    interval_s = min(max(interval_s, 1), _MOST_S)
    probes = min(max(probes, 1), _MOST_PROBES)
    tcp = socket.IPPROTO_TCP
    try:
        connection.setsockopt(tcp, socket.TCP_KEEPIDLE, idle_s)
        connection.setsockopt(tcp, socket.TCP_KEEPINTVL, interval_s)
        connection.setsockopt(tcp, socket.TCP_KEEPCNT, probes)
        timeout_ms = (idle_s + interval_s * probes) * 1000
        connection.setsockopt(tcp, socket.TCP_USER_TIMEOUT, timeout_ms)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError:
        return False
    return True
