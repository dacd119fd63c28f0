"""Durable calls to a participant: the HTTP adapter against the real sandbox, and httpx in turn.

Each call is another refund with a key of its own, over loopback and connections that stay open.
CPU is that of the client's process and of the sandbox's; httpx does the bare exchange, without
what the adapter makes of it.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import uuid4

import httpx
import msgspec
import uvloop

from application.sagas.outcome import OutcomeKind
from benchmarks._load.processes import cpu_seconds
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.providers.participant import HttpParticipant
from infrastructure.providers.profile import PAYMENT
from infrastructure.providers.requests import Authentication

_TIMEOUT_S: Final = 60.0
_TURNS: Final = 2
_TICK_S: Final = 0.01
"""Least CPU time that the kernel shows of another process."""
_PATH: Final = PAYMENT.operations["payment.refund"]
Call = Callable[[str, bytes], Awaitable[None]]


class Measured(NamedTuple):
    """One client, or the sum of its turns."""

    calls: int = 0
    elapsed_s: float = 0.0
    client_s: float = 0.0
    sandbox_s: float = 0.0
    latencies_ms: tuple[float, ...] = ()

    def plus(self, other: "Measured") -> "Measured":
        """Both turns."""
        return Measured(
            self.calls + other.calls,
            self.elapsed_s + other.elapsed_s,
            self.client_s + other.client_s,
            self.sandbox_s + other.sandbox_s,
            self.latencies_ms + other.latencies_ms,
        )


@asynccontextmanager
async def _adapter(url: str) -> AsyncIterator[Call]:
    participant = HttpParticipant(url, PAYMENT, Authentication())

    async def call(key: str, body: bytes) -> None:
        outcome = await participant.call("payment.refund", key, body, _TIMEOUT_S)
        if outcome.kind is not OutcomeKind.SUCCEEDED:
            raise RuntimeError(f"a call came to {outcome}")

    try:
        yield call
    finally:
        await participant.close()


@asynccontextmanager
async def _httpx(url: str) -> AsyncIterator[Call]:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(limits=limits, timeout=_TIMEOUT_S, trust_env=False) as client:

        async def call(key: str, body: bytes) -> None:
            headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
            (await client.post(url + _PATH, content=body, headers=headers)).raise_for_status()

        yield call


async def _load(call: Call, at_once: int, seconds: float, pid: int) -> Measured:
    latencies: list[float] = []

    async def calls(until: float) -> None:
        while time.perf_counter() < until:
            key = str(uuid4())
            refund = {"refund_id": key, "order_reference": key}
            body = msgspec.json.encode({**refund, "amount_minor": 1200, "currency": "EUR"})
            begin = time.perf_counter()
            await call(key, body)
            latencies.append((time.perf_counter() - begin) * 1e3)

    await asyncio.gather(*(call(str(uuid4()), _WARM) for _ in range(at_once)))
    sandbox, client = sum(cpu_seconds([pid]).values()), time.process_time()
    begin = time.perf_counter()
    await asyncio.gather(*(calls(begin + seconds) for _ in range(at_once)))
    return Measured(
        len(latencies),
        time.perf_counter() - begin,
        time.process_time() - client,
        sum(cpu_seconds([pid]).values()) - sandbox,
        tuple(latencies),
    )


_WARM: Final = msgspec.json.encode(
    {"refund_id": "warm", "order_reference": "warm", "amount_minor": 1, "currency": "EUR"}
)


async def _measure(url: str, pid: int, at_once: int, seconds: float) -> dict[str, Any]:
    ours, theirs = Measured(), Measured()
    for _ in range(_TURNS):
        async with _adapter(url) as call:
            ours = ours.plus(await _load(call, at_once, seconds / _TURNS, pid))
        async with _httpx(url) as call:
            theirs = theirs.plus(await _load(call, at_once, seconds / _TURNS, pid))
    return {
        "calls_per_s": round(ours.calls / ours.elapsed_s),
        "p50_ms": round(percentile(list(ours.latencies_ms), 0.5), 2),
        "p99_ms": round(percentile(list(ours.latencies_ms), 0.99), 2),
        "adapter_cpu_us_per_call": round(ours.client_s / ours.calls * 1e6),
        "sandbox_cpu_us_per_call": round(ours.sandbox_s / ours.calls * 1e6),
        "sandbox_calls_per_cpu_s": round(ours.calls / max(ours.sandbox_s, _TICK_S)),
        "httpx_calls_per_s": round(theirs.calls / theirs.elapsed_s),
        "httpx_cpu_us_per_call": round(theirs.client_s / theirs.calls * 1e6),
        "at_once": at_once,
        "fsync_policy": "SQLite, synchronous=FULL, before every answer",
        "hardware": hardware(),
    }


def main() -> None:
    """Run and print."""
    options = parser(__doc__ or "", seconds=4.0)
    options.add_argument("--at-once", type=int, default=64, help="calls at the same time, to 100")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "interfaces.cli.main", "sandbox", "--port", "0"]
        with subprocess.Popen(
            [*command, "--data-dir", directory], stdout=subprocess.PIPE, text=True
        ) as sandbox:
            assert sandbox.stdout is not None
            try:
                ready = re.match(r"kefu sandbox ready: (\S+)", sandbox.stdout.readline())
                if ready is None:
                    raise SystemExit("the sandbox did not start")
                work = _measure(ready[1], sandbox.pid, given.at_once, given.seconds)
                result = uvloop.run(work)
            finally:
                sandbox.terminate()
    show("calls to a participant", result, as_json=given.json)


if __name__ == "__main__":
    main()
