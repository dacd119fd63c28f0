"""Which server of a cluster holds which slots.

Source: https://valkey.io/topics/cluster-spec (key distribution model, redirection).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ResponseError

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Topology:
    """Slot ranges and their masters, as one server told them."""

    def __init__(self, ranges: Iterable[tuple[int, int, Address]]) -> None:
        self._ranges = sorted(ranges)
        self._starts = [start for start, _, _ in self._ranges]
        self.masters = frozenset(address for _, _, address in self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(self.masters)

    def master(self, slot: int) -> Address | None:
        """Who holds a slot; None: nobody."""
        place = bisect_right(self._starts, slot) - 1
        if place < 0:
            return None
        _, end, address = self._ranges[place]
        return address if slot <= end else None


def slot_of(key: bytes) -> int:
    """CRC16 of the key, or of what is between its first braces, modulo 16,384."""
    return key_slot(key)


def seeds(url: str) -> list[str]:
    """`redis://user:password@a:6379,b:6379?x=y` as one URL for each server."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{user}{at}{host}").geturl() for host in hosts.split(",")]


async def discover(client: Redis, asked: Address) -> Topology:
    """What a server knows of its cluster; a server that is in none holds every slot.

    Raises:
        RedisError: it does not answer, or holds no map.
    """
    # A plain command: the library's own parsing of the answer differs between its versions.
    client.response_callbacks.pop("CLUSTER SLOTS", None)
    try:
        rows: Sequence[Any] = await client.execute_command(  # type: ignore[no-untyped-call]
            "CLUSTER SLOTS"
        )
    except ResponseError as error:
        if "cluster support disabled" not in str(error):
            raise
        return Topology([(0, SLOTS - 1, asked)])
    return Topology(
        # An empty host: the one that was asked.
        (int(start), int(end), Address(_text(master[0]) or asked.host, int(master[1])))
        for start, end, master, *_ in rows
    )


def _text(host: bytes | str | None) -> str:
    return host.decode() if isinstance(host, bytes) else host or ""
