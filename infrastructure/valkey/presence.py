"""Who is online, in the cluster: a hash a gateway and bucket that dies with its gateway.

Subjects are spread over `BUCKETS` buckets by their id; a bucket's keys share a hash tag and so a
slot. `kefu:presence:{N}:GATEWAY` holds connections by subject and lives for `TTL_S` unless renewed:
renewing costs a command a bucket, however many are online. `kefu:presence:{N}` is the set of
gateways that have such a hash; whoever finds that one has died takes it out.
"""

import asyncio
import contextlib
from binascii import crc32
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infrastructure.valkey.bounded_log import BoundedLog

BUCKETS: Final = 64
TTL_S: Final = 30
RENEW_S: Final = 10.0
_FLUSH_S: Final = 0.1
_RETRY_S: Final = 0.5
_FIELDS: Final = 1_000
"""Of one command."""
_MAX_CHANGED: Final = 100_000
"""Changes that wait; beyond it their buckets are written anew."""


class PresenceTable:
    """This gateway's entries, and questions about all of them."""

    def __init__(
        self,
        gateway: str,
        counts: Mapping[str, int],
        client_for: Callable[[str], "Redis | None"],
        log: BoundedLog,
    ) -> None:
        self._gateway = gateway
        self._counts = counts
        self._client_for = client_for
        """The client of a key's master; None: nobody is known."""
        self._log = log
        self._changed: set[str] = set()
        self._stale: set[int] = set()
        """Buckets of which the cluster may hold anything."""
        self._used: set[int] = set()
        self._wake = asyncio.Event()

    def changed(self, subject_id: str) -> None:
        """Its count here is another one now."""
        if len(self._changed) < _MAX_CHANGED:
            self._changed.add(subject_id)
        else:
            self._stale.add(_bucket(subject_id))
        self._wake.set()

    def connected(self, client: Redis) -> None:
        """A master is there, perhaps with nothing: its buckets are written anew at once."""
        mine = {b for b in self._used if self._client_for(_gateways_key(b)) is client}
        self._stale |= mine
        if self._stale:
            self._wake.set()

    async def run(self) -> None:
        """Write changes, collected for a moment, and renew, until cancelled."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + RENEW_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(renew_at):
                    await self._wake.wait()
            if loop.time() >= renew_at:
                renew_at = loop.time() + RENEW_S
                await self._on_masters(set(self._used), self._renew)
            self._wake.clear()
            await self._flush()
            if self._stale:  # a master is down, or was not found yet
                self._wake.set()
                await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(_FLUSH_S)

    async def withdraw(self) -> None:
        """Take all entries back."""
        await self._on_masters(self._used, self._delete)

    async def online(self, subject_ids: Collection[str]) -> dict[str, int]:
        """As `LiveBus.online`."""
        wanted: dict[int, list[str]] = defaultdict(list)
        for id in subject_ids:
            wanted[_bucket(id)].append(id)
        found: dict[str, int] = {}

        async def ask(client: Redis, buckets: list[int]) -> None:
            counts = await self._ask(client, {bucket: wanted[bucket] for bucket in buckets})
            found.update(counts)

        await self._on_masters(wanted, ask)
        for id in subject_ids:
            here = self._counts.get(id, 0)
            if here or id in found:
                found[id] = found.get(id, 0) + here
        return found

    async def _on_masters(
        self,
        buckets: Iterable[int],
        work: Callable[[Redis, list[int]], Awaitable[None]],
    ) -> set[int]:
        """Do it for each master's buckets, side by side; those for which it failed."""
        groups: dict[int, tuple[Redis, list[int]]] = {}
        failed: set[int] = set()
        for bucket in buckets:
            client = self._client_for(_gateways_key(bucket))
            if client is None:
                failed.add(bucket)
            else:
                groups.setdefault(id(client), (client, []))[1].append(bucket)

        async def attempt(client: Redis, mine: list[int]) -> None:
            try:
                await work(client, mine)
            except (RedisError, OSError) as error:
                failed.update(mine)
                self._log.warning("live_bus.presence_failed", error=type(error).__name__)

        await asyncio.gather(*(attempt(client, mine) for client, mine in groups.values()))
        return failed

    async def _flush(self) -> None:
        changed, self._changed = self._changed, set()
        stale, self._stale = self._stale, set()
        entries: dict[int, dict[str, int]] = {bucket: {} for bucket in stale}
        if stale:
            for subject, count in self._counts.items():
                if (bucket := _bucket(subject)) in stale:
                    entries[bucket][subject] = count
        for subject in changed:
            if (bucket := _bucket(subject)) not in stale:
                entries.setdefault(bucket, {})[subject] = self._counts.get(subject, 0)
        self._used.update(entries)

        async def write(client: Redis, buckets: list[int]) -> None:
            for bucket in buckets:
                await self._write(client, bucket, entries[bucket], anew=bucket in stale)

        # What failed is written anew: a set of numbers, not of subjects.
        self._stale |= await self._on_masters(entries, write)

    async def _write(
        self, client: Redis, bucket: int, entries: dict[str, int], *, anew: bool
    ) -> None:
        key = self._key(bucket)
        pipeline = client.pipeline(transaction=True)
        if anew:
            pipeline.delete(key)
        there = [(subject, count) for subject, count in entries.items() if count]
        gone = [subject for subject, count in entries.items() if not count]
        for start in range(0, len(there), _FIELDS):
            pipeline.hset(key, mapping=dict(there[start : start + _FIELDS]))
        for start in range(0, len(gone), _FIELDS):
            pipeline.hdel(key, *gone[start : start + _FIELDS])
        pipeline.expire(key, TTL_S)
        pipeline.sadd(_gateways_key(bucket), self._gateway)
        pipeline.expire(_gateways_key(bucket), 100 * TTL_S)
        await pipeline.execute()

    async def _renew(self, client: Redis, buckets: list[int]) -> None:
        pipeline = client.pipeline(transaction=False)
        for bucket in buckets:
            pipeline.sadd(_gateways_key(bucket), self._gateway)
            pipeline.expire(_gateways_key(bucket), 100 * TTL_S)
            pipeline.expire(self._key(bucket), TTL_S)
        results = await pipeline.execute()
        for bucket, renewed in zip(buckets, results[2::3], strict=True):
            if not renewed:  # empty, or lost: by a server that came back with nothing
                self._used.discard(bucket)
                self._stale.add(bucket)

    async def _delete(self, client: Redis, buckets: list[int]) -> None:
        pipeline = client.pipeline(transaction=False)
        for bucket in buckets:
            pipeline.delete(self._key(bucket))
            pipeline.srem(_gateways_key(bucket), self._gateway)
        await pipeline.execute()

    async def _ask(self, client: Redis, wanted: dict[int, list[str]]) -> dict[str, int]:
        pipeline = client.pipeline(transaction=False)
        for bucket in wanted:
            pipeline.smembers(_gateways_key(bucket))
        gateways = await pipeline.execute()
        asked: list[tuple[int, bytes]] = []
        for bucket, members in zip(wanted, gateways, strict=True):
            for gateway in members:
                if gateway.decode() != self._gateway:
                    asked.append((bucket, gateway))
                    pipeline.hmget(_hash_key(bucket, gateway.decode()), wanted[bucket])
                    pipeline.exists(_hash_key(bucket, gateway.decode()))
        found = dict.fromkeys((id for ids in wanted.values() for id in ids), 0)
        results = await pipeline.execute() if asked else []
        for (bucket, gateway), counts, alive in zip(
            asked, results[::2], results[1::2], strict=True
        ):
            for subject, count in zip(wanted[bucket], counts, strict=True):
                found[subject] += int(count or 0)
            if not alive:
                pipeline.srem(_gateways_key(bucket), gateway)
        if len(pipeline):
            await pipeline.execute()
        return found

    def _key(self, bucket: int) -> str:
        return _hash_key(bucket, self._gateway)


def _bucket(subject_id: str) -> int:
    return crc32(subject_id.encode()) % BUCKETS


def _gateways_key(bucket: int) -> str:
    return f"kefu:presence:{{{bucket}}}"


def _hash_key(bucket: int, gateway: str) -> str:
    return f"kefu:presence:{{{bucket}}}:{gateway}"
