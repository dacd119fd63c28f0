"""One master of the cluster: its subscriptions on one connection, what is published on another.

The library's own `ClusterPubSub` asks one server after the other and waits for those that are
down; here a dead master costs its own slots only (ADR 0014).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Connection, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import MovedError, RedisError

from application.ports.live_bus import LiveBusStats
from infrastructure.valkey.bounded_log import BoundedLog
from infrastructure.valkey.tasks import end
from infrastructure.valkey.topology import Address

BACKOFF: Final = ExponentialWithJitterBackoff(cap=5.0, base=0.2)
MAX_QUEUED_BYTES: Final = 4 * 1024 * 1024
_MAX_BATCH: Final = 500
_PING_S: Final = 3.0
_SILENCE_S: Final = 8.0
"""A server that answers no ping for so long is gone."""


_PREFIX: Final = b"kefu:live:"


def channel_of(topic: str) -> bytes:
    """The channel of a topic."""
    return _PREFIX + topic.encode()


def topic_of(channel: bytes) -> str:
    """The topic of a channel."""
    return channel[len(_PREFIX) :].decode()


class _Unsubscribed(RedisError):
    """The server ended a subscription: its slot has moved."""


class _Silent(RedisError):
    """Nothing came for `_SILENCE_S`."""


class MasterLink:
    """Subscribes to `topics` whenever it is connected; publishes what `publish` takes."""

    def __init__(
        self,
        address: Address,
        client: Redis,
        on_message: Callable[[str, bytes], None],
        on_connected: Callable[["MasterLink"], None],
        on_trouble: Callable[[], None],
        stats: LiveBusStats,
        log: BoundedLog,
    ) -> None:
        self.address = address
        self.client = client
        self.connected = False
        self.topics: set[str] = set()
        """That are, or will be, subscribed; no copies, for there may be a hundred thousand."""
        self._on_message = on_message
        self._on_connected = on_connected
        self._on_trouble = on_trouble
        self._stats = stats
        self._log = log
        self._changes: dict[str, bool] = {}
        """What the server was not told yet; only the newest wish of a topic counts."""
        self._changed = asyncio.Event()
        self._leaving: dict[str, int] = {}
        """Unsubscriptions that the server has not confirmed yet."""
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._queued_bytes = 0
        self._queued = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._subscribe_forever()),
            asyncio.create_task(self._publish_forever()),
        ]

    def subscribe(self, topic: str) -> None:
        """From now on, or from when the server is there."""
        self.topics.add(topic)
        self._change(topic, True)

    def unsubscribe(self, topic: str) -> None:
        """No more."""
        self.topics.discard(topic)
        self._change(topic, False)

    def publish(self, channel: bytes, payload: bytes) -> bool:
        """Queue it; False: the server is down or too slow."""
        size = len(payload)
        if not self.connected or self._queued_bytes + size > MAX_QUEUED_BYTES:
            return False
        self._queue.append((channel, payload))
        self._queued_bytes += size
        self._queued.set()
        return True

    async def close(self) -> None:
        """Stop and disconnect."""
        await end(self._tasks, again_s=2.0)
        self._drop_queue()
        await self.client.aclose()

    def _change(self, topic: str, wanted: bool) -> None:
        if self.connected:
            self._changes[topic] = wanted
            self._changed.set()

    # Subscriptions.

    async def _subscribe_forever(self) -> None:
        failures = 0
        while True:
            pool = self.client.connection_pool
            connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("PING", check_health=False)
                await _read(connection)
                failures = 0
                await self._converse(connection)
            except (RedisError, OSError) as error:
                # By its name: a text of the library may hold what the settings keep secret.
                name = type(error).__name__
                self._log.warning("live_bus.disconnected", server=str(self.address), error=name)
            finally:
                self._went_down()
                await connection.disconnect(nowait=True)
            self._on_trouble()
            failures += 1
            await asyncio.sleep(BACKOFF.compute(failures))

    async def _converse(self, connection: Connection) -> None:
        """Until something fails."""
        self.connected = True
        self._stats.connected += 1
        self._leaving.clear()
        self._changes = dict.fromkeys(self.topics, True)
        self._changed.set()
        self._on_connected(self)
        halves = [
            asyncio.create_task(self._listen(connection)),
            asyncio.create_task(self._tell_changes(connection)),
        ]
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            for half in done:
                half.result()
        finally:
            await end(halves, again_s=0.2)

    def _went_down(self) -> None:
        if self.connected:
            self.connected = False
            self._stats.connected -= 1
            self._drop_queue()

    async def _listen(self, connection: Connection) -> None:
        while True:
            answer = await _read(connection)
            if not isinstance(answer, list):
                continue
            if answer[0] == b"smessage":
                self._on_message(topic_of(answer[1]), answer[2])
            elif answer[0] == b"sunsubscribe" and answer[1] is not None:
                self._unsubscribed(topic_of(answer[1]))

    def _unsubscribed(self, topic: str) -> None:
        waiting = self._leaving.pop(topic, 0)
        if waiting > 1:
            self._leaving[topic] = waiting - 1
        elif not waiting and topic in self.topics:
            raise _Unsubscribed

    async def _tell_changes(self, connection: Connection) -> None:
        while True:
            try:
                async with asyncio.timeout(_PING_S):
                    await self._changed.wait()
            except TimeoutError:
                await connection.send_command("PING", check_health=False)
                continue
            self._changed.clear()
            while self._changes:
                commands: list[tuple[str, bytes]] = []
                while self._changes and len(commands) < _MAX_BATCH:
                    topic, wanted = self._changes.popitem()
                    if not wanted:
                        self._leaving[topic] = self._leaving.get(topic, 0) + 1
                    # One channel a command: those of one command must be of one slot.
                    name = "SSUBSCRIBE" if wanted else "SUNSUBSCRIBE"
                    commands.append((name, channel_of(topic)))
                packed = connection.pack_commands(commands)
                await connection.send_packed_command(packed, check_health=False)

    # Publishing.

    async def _publish_forever(self) -> None:
        failures = 0
        while True:
            await self._queued.wait()
            batch = self._take_batch()
            pipeline = self.client.pipeline(transaction=False)
            for channel, payload in batch:
                pipeline.execute_command("SPUBLISH", channel, payload)
            try:
                results = await pipeline.execute(raise_on_error=False)
            except (RedisError, OSError) as error:
                self._stats.dropped += len(batch)
                name = type(error).__name__
                self._log.warning("live_bus.not_published", server=str(self.address), error=name)
                failures += 1
                await asyncio.sleep(BACKOFF.compute(failures))
                continue
            failures = 0
            refused = sum(isinstance(result, Exception) for result in results)
            self._stats.dropped += refused
            self._stats.published += len(results) - refused
            if refused and any(isinstance(result, MovedError) for result in results):
                self._on_trouble()

    def _take_batch(self) -> list[tuple[bytes, bytes]]:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _MAX_BATCH))]
        self._queued_bytes -= sum(len(payload) for _, payload in batch)
        if not self._queue:
            self._queued.clear()
        return batch

    def _drop_queue(self) -> None:
        self._stats.dropped += len(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._queued.clear()


async def _read(connection: Connection) -> Any:
    answer = await connection.read_response(timeout=_SILENCE_S)
    if answer is None:  # the library's way to say that the time is over
        raise _Silent
    return answer
