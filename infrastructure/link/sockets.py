"""TCP of a link: a peer that has gone is found within seconds."""

import socket
from typing import Final

_OPTIONS: Final = (
    ("TCP_NODELAY", 1),
    ("TCP_KEEPIDLE", 3),
    ("TCP_KEEPINTVL", 1),
    ("TCP_KEEPCNT", 3),
    # Keepalive (RFC 9293 section 3.8.4) finds a dead peer only while nothing is in flight, this
    # (RFC 5482) only while something is; in ms.
    ("TCP_USER_TIMEOUT", 6_000),
)


def prepare(connection: socket.socket) -> None:
    """Set the options; those that a system does not have are left out.

    Raises:
        OSError: the connection has gone.
    """
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
