"""PROXY protocol version 2: a proxy's word on where a connection comes from. No I/O, no clock.

The header comes once, before anything else on the connection. Only a peer that is configured as a
proxy may send it (section 2: a receiver must not guess), and such a peer must.

Source: haproxy's doc/proxy-protocol.txt, section 2.2. Version 1 (text) is refused.
"""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

import google_crc32c

from domain.errors import KefuError
from interfaces.gateway.addresses import canonical

MAX_BYTES: Final = 536
"""Of a whole header: what a sender can count on to arrive in one segment (section 2). A longer one
is refused before it has come.
"""
SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_VERSION_1: Final = b"PROXY "
_FIXED: Final = struct.Struct("!12sBBH")
_VERSION_2: Final = 0x20
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = 0, 1, 2, 3
_STREAM: Final = 1
_TCP4: Final = struct.Struct("!4s4sHH")
_TCP6: Final = struct.Struct("!16s16sHH")
_UNIX_BYTES: Final = 216
_TLV: Final = struct.Struct("!BH")
_CRC32C, _SSL = 0x03, 0x20
_SSL_BYTES: Final = struct.Struct("!BI")
_CLIENT_SSL: Final = 0x01
_VERIFIED: Final = 0
"""Of the SSL TLV: the client gave no certificate that failed."""

LOCAL: Final = _FIXED.pack(SIGNATURE, _VERSION_2 | _LOCAL, 0, 0)
"""The header of a connection that a proxy opens on its own behalf, such as a health check."""


class ProxyProtocolError(KefuError):
    """The bytes are no header that is taken here: drop the connection, nothing can be answered."""

    code = "proxy-header-invalid"


class NoProxyHeader(ProxyProtocolError):
    """The connection begins with something else."""

    code = "proxy-header-missing"


class ProxyHeaderVersion(ProxyProtocolError):
    """A header of another version."""

    code = "proxy-header-version"


class ProxyHeaderTooLong(ProxyProtocolError):
    """A header of more than `MAX_BYTES`."""

    code = "proxy-header-too-long"


class ProxyHeaderChecksum(ProxyProtocolError):
    """The CRC32C in the header is not that of the header."""

    code = "proxy-header-checksum"


class Endpoint(NamedTuple):
    """One end of a TCP connection."""

    host: str
    """An IPv4 or IPv6 address in canonical form (RFC 5952); a mapped one as the IPv4 address."""
    port: int


class Header(NamedTuple):
    """What the proxy said."""

    source: Endpoint | None
    """The client. None: there is nothing better than the peer's own address (command LOCAL, an
    unspecified family, or a client on a Unix socket of the proxy's machine).
    """
    destination: Endpoint | None
    """What the client connected to."""
    tls: bool
    """The client spoke TLS, which ended at the proxy."""
    size: int
    """Bytes of the header; the client's own bytes follow."""


def parse(data: bytes | bytearray) -> Header | None:
    """The header at the beginning of what has arrived so far, which the caller keeps.

    Returns:
        None: it is not whole yet; call again with more. That is never so from `MAX_BYTES` on.

    Raises:
        ProxyProtocolError: it is none that is taken here, as soon as that is clear.
    """
    if data[: len(SIGNATURE)] != SIGNATURE[: len(data)]:
        raise _not_ours(data)
    if len(data) > 12 and data[12] & 0xF0 != _VERSION_2:
        raise ProxyHeaderVersion(f"Version {data[12] >> 4} of the PROXY protocol is not known.")
    if len(data) < _FIXED.size:
        return None
    _, command, kind, length = _FIXED.unpack_from(data)
    size = _FIXED.size + length
    if size > MAX_BYTES:
        raise ProxyHeaderTooLong(f"A PROXY header has at most {MAX_BYTES} bytes, not {size}.")
    if command & 0x0F > _PROXY:
        raise ProxyProtocolError(f"PROXY command {command & 0x0F} is not known.")
    if len(data) < size:
        return None
    if command & 0x0F == _LOCAL:  # the rest must be discarded, whatever it is
        return Header(None, None, False, size)
    header = bytes(data[:size])
    source, destination, at = _addresses(header, kind)
    return Header(source, destination, _read_tlvs(header, at), size)


def encode(source: Endpoint, destination: Endpoint, *, tls: bool = False) -> bytes:
    """The header for a client's connection, with a checksum; 35 to 67 bytes.

    Args:
        source: The client; ends of different families are both sent as IPv6.
        destination: What the client connected to.
        tls: The client speaks TLS, which ends here.

    Raises:
        ValueError: a host is not an IP address, or a port not one of 0 to 65535.
    """
    ends = ip_address(source.host.partition("%")[0]), ip_address(destination.host.partition("%")[0])
    ports = source.port, destination.port
    try:
        if all(isinstance(end, IPv4Address) for end in ends):
            family, block = _INET, _TCP4.pack(ends[0].packed, ends[1].packed, *ports)
        else:
            family, block = _INET6, _TCP6.pack(_packed6(ends[0]), _packed6(ends[1]), *ports)
    except struct.error as error:
        raise ValueError(f"no ports: {ports}") from error
    if tls:
        block += _TLV.pack(_SSL, _SSL_BYTES.size) + _SSL_BYTES.pack(_CLIENT_SSL, _VERIFIED)
    block += _TLV.pack(_CRC32C, 4)
    kind = family << 4 | _STREAM
    header = _FIXED.pack(SIGNATURE, _VERSION_2 | _PROXY, kind, len(block) + 4) + block
    checksum: int = google_crc32c.value(header + bytes(4))
    return header + checksum.to_bytes(4, "big")


def _not_ours(data: bytes | bytearray) -> ProxyProtocolError:
    if len(data) >= 2 and data[: len(_VERSION_1)] == _VERSION_1[: len(data)]:
        return ProxyHeaderVersion(
            "Version 1 of the PROXY protocol (text) is not taken; set the proxy to version 2."
        )
    return NoProxyHeader(
        "The connection does not begin with a PROXY header of version 2; set the proxy to send it."
    )


def _addresses(header: bytes, kind: int) -> tuple[Endpoint | None, Endpoint | None, int]:
    """Both ends, and where the TLVs begin."""
    family, transport = kind >> 4, kind & 0x0F
    block = len(header) - _FIXED.size
    if family > _UNIX or transport > 2:
        raise ProxyProtocolError(f"PROXY family and transport {kind:#04x} are not known.")
    if _UNSPEC in (family, transport):
        # Section 2.2: accepted, with the peer's own address; where TLVs would begin is not said.
        return None, None, len(header)
    if transport != _STREAM:
        raise ProxyProtocolError("A PROXY header of a datagram came over a stream.")
    layout = {_INET: _TCP4, _INET6: _TCP6}.get(family)
    length = _UNIX_BYTES if layout is None else layout.size
    if block < length:
        raise ProxyProtocolError(
            f"The addresses need {length} bytes, the PROXY header has {block}."
        )
    if layout is None:
        return None, None, _FIXED.size + length
    source, destination, source_port, destination_port = layout.unpack_from(header, _FIXED.size)
    return (
        Endpoint(canonical(ip_address(source)), source_port),
        Endpoint(canonical(ip_address(destination)), destination_port),
        _FIXED.size + length,
    )


def _read_tlvs(header: bytes, at: int) -> bool:
    """Check the checksum if there is one; whether the client spoke TLS. Others are passed over."""
    tls = False
    while at < len(header):
        if at + _TLV.size > len(header):
            raise ProxyProtocolError("A TLV of the PROXY header is cut off.")
        type, length = _TLV.unpack_from(header, at)
        at += _TLV.size
        if at + length > len(header):
            raise ProxyProtocolError("A TLV of the PROXY header is longer than what is left.")
        if type == _CRC32C:
            _check(header, at, length)
        elif type == _SSL:
            if length < _SSL_BYTES.size:
                raise ProxyProtocolError("The SSL TLV of the PROXY header is too short.")
            tls = bool(header[at] & _CLIENT_SSL)
        at += length
    return tls


def _check(header: bytes, at: int, length: int) -> None:
    if length != 4:
        raise ProxyProtocolError("The checksum of the PROXY header has 4 bytes.")
    given = int.from_bytes(header[at : at + 4], "big")
    if google_crc32c.value(header[:at] + bytes(4) + header[at + 4 :]) != given:
        raise ProxyHeaderChecksum("The checksum of the PROXY header is wrong.")


def _packed6(address: IPv4Address | IPv6Address) -> bytes:
    if isinstance(address, IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed
