"""Where a gateway's connections come from."""

from typing import Final, NamedTuple

from interfaces.gateway import addresses
from interfaces.gateway.addresses import NOBODY, TrustedNetworks
from interfaces.gateway.proxy_protocol import Endpoint
from interfaces.gateway.tls import ServerTls


class Sources(NamedTuple):
    """Whom a gateway believes, and whether clients speak TLS to it."""

    proxies: TrustedNetworks = NOBODY
    """Whose word on the client's address is taken."""
    proxy_protocol: bool = False
    """Their connections begin with a PROXY header of version 2."""
    tls: ServerTls | None = None

    def behind(self, source: Endpoint, head: bytes) -> Endpoint:
        """Who sent a request, by its head: the client that trusted proxies name, or `source`."""
        if not self.proxies or source.host not in self.proxies:
            return source
        values: dict[bytes, list[str]] = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            values.setdefault(name.strip().lower(), []).append(value.strip().decode("latin-1"))
        found = addresses.client(
            source.host,
            self.proxies,
            forwarded=values.get(b"forwarded", ()),
            x_forwarded_for=values.get(b"x-forwarded-for", ()),
        )
        return Endpoint(found.address, source.port if found.address == source.host else 0)


ANYBODY: Final = Sources()
"""Clients connect themselves, without TLS."""
