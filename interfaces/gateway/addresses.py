"""Where a client is: the peer, or what trusted proxies say of it. Which origins may open `/ws`.

A header is believed only as far as trusted proxies wrote it: each appends the peer that it saw, so
the list is walked from the right, and the first address that is no trusted proxy is the client.
What stands left of it came with the request and may be invented.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from domain.errors import InvalidInput

MAX_HOPS: Final = 20
"""Trusted proxies in a row; a longer list is taken for malformed."""
MAX_HEADER_CHARS: Final = 4096
_PORTS: Final = {"http": 80, "https": 443}

# RFC 7239 section 4: pairs of a token and a token or quoted string. Node names with colons must be
# quoted there; many proxies forget it, so an unquoted value may have the signs of an address.
_PAIR: Final = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r"(?:\"((?:[^\"\\]|\\.)*)\"|([!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+))[ \t]*"
)
_ESCAPED: Final = re.compile(r"\\(.)")
_NODE: Final = re.compile(r"(?:\[([^\]]+)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[\w.-]+))?")


class Client(NamedTuple):
    """Who sent a request."""

    address: str
    """Canonical (RFC 5952), without a port."""
    scheme: str | None
    """`http` or `https`, as the client used it; None: no trusted proxy said it."""


class TrustedNetworks:
    """Networks whose peers are proxies and are believed.

    Args:
        text: Addresses and networks in CIDR form, divided by commas; empty: nobody is trusted.

    Raises:
        InvalidInput: one is neither.
    """

    __slots__ = ("_networks",)

    def __init__(self, text: str = "") -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        for one in filter(None, map(str.strip, text.split(","))):
            try:
                self._networks.append(ip_network(one))
            except ValueError as error:
                raise InvalidInput(f"{one!r} is no address or network: {error}.") from None

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        found = _canonical(address)
        if found is None:
            return False
        host = ip_address(found)
        return any(host in network for network in self._networks)


NOBODY: Final = TrustedNetworks()


def client(
    peer: str,
    trusted: TrustedNetworks,
    *,
    forwarded: Sequence[str] = (),
    x_forwarded_for: Sequence[str] = (),
    x_forwarded_proto: Sequence[str] = (),
) -> Client:
    """Who sent a request over a connection from `peer`.

    Args:
        peer: Address of the connection's other end, or the source of its PROXY header.
        trusted: Whose headers are believed.
        forwarded: Values of the `Forwarded` headers (RFC 7239), as they came, in order.
        x_forwarded_for, x_forwarded_proto: Likewise.

    Returns:
        The peer itself if it is not trusted, if there is no header, if one is malformed as far as
        it is looked at, or if `Forwarded` and `X-Forwarded-For` name different clients: proxies
        mostly write one of them, and pass on the other as an untrusted client made it up.
    """
    own = Client(_canonical(peer) or peer, None)
    if not (forwarded or x_forwarded_for or x_forwarded_proto) or own.address not in trusted:
        return own
    claims: list[Client | None] = []
    if forwarded:
        claims.append(_by_forwarded(forwarded, trusted))
    if x_forwarded_for:
        claims.append(_by_x_forwarded_for(x_forwarded_for, trusted))
    if None in claims or len({claim.address for claim in claims if claim}) > 1:
        return own
    found = claims[0] if claims and claims[0] is not None else own
    if found.scheme is None and x_forwarded_proto:
        # No list in practice; if it is one, the nearest proxy's word is the last.
        scheme = x_forwarded_proto[-1].rpartition(",")[2].strip().lower()
        return found._replace(scheme=scheme if scheme in _PORTS else None)
    return found


class AllowedOrigins:
    """Web pages that may open `/ws`, by origin (RFC 6454; RFC 6455 section 10.2).

    By default any may: the widget runs on pages of others, and a bearer token is not ambient as a
    cookie is, so a hostile page can open nothing that it has no token for. A list narrows that
    where all pages are known. It holds off browsers only; other programs send what they like.

    Args:
        text: Origins such as `https://shop.example`, divided by commas; empty or `*`: any.

    Raises:
        InvalidInput: one is no origin.
    """

    __slots__ = ("_origins",)

    def __init__(self, text: str = "") -> None:
        self._origins: frozenset[str] | None = None
        given = [one.strip() for one in text.split(",") if one.strip()]
        if given and given != ["*"]:
            self._origins = frozenset(map(_require_origin, given))

    def allows(self, origin: str | None) -> bool:
        """Whether a handshake with this `Origin` header may go on.

        None, no header: it is no browser, which any other program could claim just as well.
        """
        return self._origins is None or origin is None or _origin(origin) in self._origins


def canonical(address: IPv4Address | IPv6Address) -> str:
    """The one text for an address: RFC 5952, without a scope, a mapped one as IPv4."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(address).partition("%")[0]
    return str(address)


ANY_ORIGIN: Final = AllowedOrigins()


def _by_x_forwarded_for(values: Sequence[str], trusted: TrustedNetworks) -> Client | None:
    found: str | None = None
    # The left is not even looked at: it is the client's own and may have any length.
    for node in ",".join(values).rsplit(",", MAX_HOPS)[-MAX_HOPS:][::-1]:
        found = _address(node)
        if found is None:
            return None
        if found not in trusted:
            return Client(found, None)
    return Client(found, None) if found and _hops(values) <= MAX_HOPS else None


def _hops(values: Sequence[str]) -> int:
    return sum(value.count(",") + 1 for value in values)


def _by_forwarded(values: Sequence[str], trusted: TrustedNetworks) -> Client | None:
    hops = 0
    found: Client | None = None
    for value in reversed(values):
        elements = _elements(value)
        if elements is None:
            return None
        for element in reversed(elements):
            hops += 1
            node = element.get("for")
            if node is None or hops > MAX_HOPS:
                return None
            if node.lower() == "unknown" or node.startswith("_"):
                # Sections 6.2 and 6.3: a proxy hides what is behind it.
                return found
            address = _address(node)
            if address is None:
                return None
            scheme = element.get("proto", "").lower()
            found = Client(address, scheme if scheme in _PORTS else None)
            if address not in trusted:
                return found
    return found


def _elements(value: str) -> list[dict[str, str]] | None:
    """Of one header; None: it is malformed."""
    if len(value) > MAX_HEADER_CHARS:
        return None
    elements: list[dict[str, str]] = [{}]
    at = 0
    while True:
        pair = _PAIR.match(value, at)
        if pair is None:
            return None
        name = pair[1].lower()
        if name in elements[-1]:
            return None  # section 4: once an element
        elements[-1][name] = pair[3] if pair[2] is None else _ESCAPED.sub(r"\1", pair[2])
        at = pair.end()
        if at == len(value):
            return elements
        if value[at] == ",":
            elements.append({})
        elif value[at] != ";":
            return None
        at += 1


def _address(node: str) -> str | None:
    """Of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`."""
    node = node.strip(" \t")
    with_port = _NODE.fullmatch(node)
    return _canonical((with_port[1] or with_port[2]) if with_port else node)


def _canonical(address: str) -> str | None:
    if len(address) > 64:
        return None
    try:
        return canonical(ip_address(address))
    except ValueError:
        return None


def _origin(text: str) -> str | None:
    """Scheme, host and port, in one form; None: it is no origin (such as `null`)."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    if url.scheme not in _PORTS or not url.hostname or url.username is not None:
        return None
    if url.path not in ("", "/") or url.query or url.fragment:
        return None
    return f"{url.scheme}://{url.hostname}:{port or _PORTS[url.scheme]}"


def _require_origin(text: str) -> str:
    found = _origin(text)
    if found is None:
        raise InvalidInput(f"{text!r} is no origin; write it as https://shop.example.")
    return found
