"""Redis Streams with `appendfsync always`: XADD in pipelines over redis-py (with hiredis)."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import redis

from benchmarks._peers.peer import Clock, Load, Sample, Unavailable, in_threads
from benchmarks._peers.server import Server, accepts, find, free_port

STREAM = "bench"
_BATCHES = (100, 500, 1_000, 2_000, 5_000)


class RedisStreamsPeer:
    """One stream, because its order over all events is what a log gives."""

    name: ClassVar[str] = "redis_streams"
    loads: ClassVar[Sequence[Load]] = [
        Load(batch, producers) for producers in (1, 2) for batch in _BATCHES
    ]
    fsync_policy: ClassVar[str] = "appendfsync always: fsync of the AOF before the replies"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Self:
        program = find("redis-server")
        self._port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            # Rewriting the AOF would only take time from it.
            "auto-aof-rewrite-percentage": "0",
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        self._server = Server([program, *arguments], self._directory / "redis.log")
        self._server.wait_ready(lambda: accepts(self._port))
        client = self._connect()
        if client.config_get("appendfsync") != {"appendfsync": "always"}:
            self._server.stop()
            raise Unavailable("appendfsync is not always")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()

    def version(self) -> str:
        """Of the server and the client."""
        server = self._connect().info("server")["redis_version"]
        return f"Redis {server}, redis-py {redis.__version__}"

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        """Pipelines of XADD, each answered as a whole."""
        self._connect().delete(STREAM)  # it is all in memory
        clock = Clock(seconds)
        in_threads(load.producers, lambda: self._produce(load.batch, event_bytes, clock))
        return clock.sample()

    def _connect(self) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=self._port)

    def _produce(self, batch: int, event_bytes: int, clock: Clock) -> None:
        client = self._connect()
        fields = {b"d": b"x" * event_bytes}
        while clock.running():
            since = time.perf_counter()
            pipeline = client.pipeline(transaction=False)
            for _ in range(batch):
                pipeline.xadd(STREAM, fields)  # type: ignore[arg-type]  # invariant dict
            clock.acked(len(pipeline.execute()), since)
