"""Small numbers for client addresses: what keepalive learns by, and what limits count by."""

import socket
from typing import Final

NETWORK_BITS: Final = 30
ADDRESS_BITS: Final = 18
_MAPPED: Final = bytes(10) + b"\xff\xff"
"""RFC 4291 section 2.5.5.2: an IPv4 address in IPv6."""


def network_key(address: str) -> int:
    """The network that an address is in, IPv4 /24 or IPv6 /48; 0 for what is no IP address.

    Returns:
        At most 30 bits. IPv6 networks are hashed, with a secret of the process, into 29 of them:
        two that fall together share what they teach, which does no harm.
    """
    packed = _packed(address)
    if len(packed) == 4:
        return int.from_bytes(packed[:3], "big") + 1
    if packed:
        return hash(packed[:6]) & (1 << NETWORK_BITS - 1) - 1 | 1 << NETWORK_BITS - 1
    return 0


def address_key(address: str) -> int:
    """Whom limits count as one: an IPv4 address, an IPv6 /64 (RFC 6177: one site's at least).

    Returns:
        1 to 2^18, hashed with a secret of the process; 0 for what is no IP address. Two addresses
        that fall together count as one: with a million connections there are four a number, so
        limits of 100 and more are hardly touched by it.
    """
    packed = _packed(address)
    return (hash(packed[:8]) & (1 << ADDRESS_BITS) - 1) + 1 if packed else 0


def _packed(address: str) -> bytes:
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return b""
    return packed[12:] if packed.startswith(_MAPPED) else packed
