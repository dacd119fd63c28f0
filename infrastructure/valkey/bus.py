"""As `LiveBus`, over sharded pub/sub of a Valkey or Redis cluster (7.0 or later).

A conversation's channel is `kefu:live:ID`; its slot decides which master carries it. A payload
goes behind the 16 bytes of its sender, which drops it when it comes back.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID, uuid4

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from application.local_bus import SubjectCounts
from application.ports.live_bus import MAX_PAYLOAD_BYTES, LiveBusReceiver, LiveBusStats
from infrastructure.valkey.bounded_log import BoundedLog
from infrastructure.valkey.link import BACKOFF, MasterLink, channel_of
from infrastructure.valkey.presence import PresenceTable
from infrastructure.valkey.tasks import end
from infrastructure.valkey.topology import Address, Topology, discover, seeds, slot_of

_SENDER_BYTES: Final = 16
_TIMEOUT_S: Final = 2.0
_REFRESH_S: Final = 30.0
_SETTLE_S: Final = 0.25
"""Troubles of one failure come together."""


class ValkeyBus:
    """A gateway of several machines. Construct and open it in a running event loop."""

    def __init__(self, url: str) -> None:
        """
        Args:
            url: `redis://user:password@host:port,host:port`, `rediss://` for TLS with the library's
                options (`?ssl_ca_certs=PATH`). Never logged.
        """
        self.stats = LiveBusStats()
        self.gateway: UUID = uuid4()
        self._options = [parse_url(seed) for seed in seeds(url)]
        self._seeds = [
            Address(options.get("host", "localhost"), options.get("port", 6379))
            for options in self._options
        ]
        self._log = BoundedLog()
        self._subjects = SubjectCounts()
        self.here = self._subjects.here
        self._topology = Topology(())
        self._links: dict[Address, MasterLink] = {}
        self._homeless: set[str] = set()
        """Topics of slots that nobody holds."""
        self._trouble = asyncio.Event()
        self._receiver: LiveBusReceiver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._presence = PresenceTable(
            self.gateway.hex, self._subjects.counts, self._client_for, self._log
        )

    async def open(self, receiver: LiveBusReceiver) -> None:
        """As `LiveBus.open`."""
        self._receiver = receiver
        self._spawn(self._follow_topology())
        self._spawn(self._presence.run())

    async def close(self) -> None:
        """As `LiveBus.close`."""
        await end(self._tasks, again_s=2.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_S):
                await self._presence.withdraw()
        await asyncio.gather(*(link.close() for link in self._links.values()))
        self._links.clear()
        self.stats.peers = 0

    def publish(self, topic: str, payload: bytes) -> None:
        """As `LiveBus.publish`."""
        channel = channel_of(topic)
        link = self._link(channel) if len(payload) <= MAX_PAYLOAD_BYTES else None
        if link is None or not link.publish(channel, self.gateway.bytes + payload):
            self.stats.dropped += 1

    def subscribe(self, topic: str) -> None:
        """As `LiveBus.subscribe`."""
        link = self._link(channel_of(topic))
        if link is None:
            self._homeless.add(topic)
        elif topic not in link.topics:
            link.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        """As `LiveBus.unsubscribe`."""
        self._homeless.discard(topic)
        link = self._link(channel_of(topic))
        if link is not None and topic in link.topics:
            link.unsubscribe(topic)

    def arrived(self, subject_id: str) -> int:
        """As `LiveBus.arrived`."""
        self._presence.changed(subject_id)
        return self._subjects.arrived(subject_id)

    def left(self, subject_id: str) -> int:
        """As `LiveBus.left`."""
        self._presence.changed(subject_id)
        return self._subjects.left(subject_id)

    async def online(self, subject_ids: Collection[str]) -> dict[str, int]:
        """As `LiveBus.online`."""
        return await self._presence.online(subject_ids)

    def _received(self, topic: str, data: bytes) -> None:
        if data[:_SENDER_BYTES] == self.gateway.bytes or self._receiver is None:
            return
        self.stats.received += 1
        self._receiver.received(topic, data[_SENDER_BYTES:])

    def _connected(self, link: MasterLink) -> None:
        self._presence.connected(link.client)

    # Who holds what.

    def _link(self, channel: bytes) -> MasterLink | None:
        master = self._topology.master(slot_of(channel))
        return None if master is None else self._links.get(master)

    def _client_for(self, key: str) -> "Redis | None":
        link = self._link(key.encode())
        return link.client if link is not None and link.connected else None

    async def _follow_topology(self) -> None:
        """Ask at the start, now and then, and whenever a link has trouble."""
        failures = 0
        while True:
            self._trouble.clear()
            topology = await self._discover()
            if topology is None:
                failures += 1
                await asyncio.sleep(BACKOFF.compute(failures))
                continue
            failures = 0
            self._apply(topology)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REFRESH_S):
                    await self._trouble.wait()
            await asyncio.sleep(_SETTLE_S)

    async def _discover(self) -> Topology | None:
        living = sorted(self._links.values(), key=lambda link: not link.connected)
        for address in dict.fromkeys([*(link.address for link in living), *self._seeds]):
            client = self._client(address)
            try:
                topology = await discover(client, address)
            except (RedisError, OSError) as error:
                name = type(error).__name__
                self._log.warning("live_bus.no_topology", server=str(address), error=name)
                continue
            finally:
                await client.aclose()
            if topology.masters:
                return topology
        return None

    def _apply(self, topology: Topology) -> None:
        if topology == self._topology:
            return
        self._topology = topology
        for address in topology.masters - self._links.keys():
            self._links[address] = MasterLink(
                address,
                self._client(address),
                self._received,
                self._connected,
                self._trouble.set,
                self.stats,
                self._log,
            )
        homeless, self._homeless = self._homeless, set()
        for link in list(self._links.values()):
            for topic in list(link.topics):
                if self._link(channel_of(topic)) is not link:
                    link.unsubscribe(topic)
                    homeless.add(topic)
        for topic in homeless:
            self.subscribe(topic)
        for address in self._links.keys() - topology.masters:
            self._spawn(self._links.pop(address).close())
        self.stats.peers = len(self._links)

    def _client(self, address: Address) -> Redis:
        """Fails at once instead of trying again: each caller has a backoff of its own."""
        options: dict[str, Any] = {
            "connection_class": Connection,
            "socket_timeout": _TIMEOUT_S,
            "socket_connect_timeout": _TIMEOUT_S,
            **self._options[0],
            "host": address.host,
            "port": address.port,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
        }
        return Redis.from_pool(ConnectionPool(**options))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
