"""Refund sagas a second, from request to the last step, and how soon a killed system goes on.

A real `kefu serve` with all roles, and a real `kefu sandbox` with its own durable ledger, on the
same machine. Each saga is a return authorised, money paid, a posting, a message in a conversation:
three HTTP calls, a dozen commands and about 25 durable events. Then so many sagas are brought to
where their payment is refused for the moment, the whole system is killed, and started again.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._load.processes import cpu_seconds
from benchmarks._load.system import System, serving
from benchmarks._sagas.provider import Provider, provider
from benchmarks._sagas.refunds import Ends, Refunds
from benchmarks.report import hardware, parser, percentile, show
from infrastructure.ipc.client import CoreClient

AT_ONCE = 400
WARM_UP_S = 3.0
LOOK_S = 0.01
MOST_PER_S = 1_000
PATIENCE_S = 600.0


@contextmanager
def _ends(system: System) -> Iterator[Ends]:
    ends = Ends(system.data_dir / "log")
    try:
        yield ends
    finally:
        ends.close()


async def _throughput(system: System, pay: Provider, seconds: float) -> dict[str, Any]:
    core = CoreClient(system.data_dir / "run" / "core.sock")
    await core.open()
    await core.wait_connected(30.0)
    refunds = Refunds(core)
    await refunds.prepare(int((WARM_UP_S + seconds) * MOST_PER_S))
    begun: dict[str, float] = {}
    with _ends(system) as ends:
        start = time.perf_counter()
        used = cpu_seconds([*system.roots(), pay.pid])
        counted = 0
        while (now := time.perf_counter()) < start + WARM_UP_S + seconds:
            if now < start + WARM_UP_S:
                used, counted, measured = cpu_seconds([*system.roots(), pay.pid]), ends.look(), now
            room = AT_ONCE - (len(begun) - ends.look())
            asked = await asyncio.gather(*(refunds.ask() for _ in range(room)))
            begun.update(dict.fromkeys(asked, now))
            await asyncio.sleep(LOOK_S)
        done = ends.look() - counted
        took = time.perf_counter() - measured
        spent = cpu_seconds([*system.roots(), pay.pid])
        ages = [
            at - begun[id] for id, at in ends.completed.items() if begun[id] > start + WARM_UP_S
        ]
        failed = ends.other
    await core.close()
    if failed:
        raise RuntimeError(f"{failed} sagas did not complete")
    cpu = {kind: round(1e3 * (spent[kind] - used.get(kind, 0.0)) / done, 2) for kind in spent}
    return {
        "sagas_per_s": round(done / took, 1),
        "p50_s": round(percentile(ages, 0.5), 3),
        "p99_s": round(percentile(ages, 0.99), 3),
        "at_once": AT_ONCE,
        "cpu_ms_per_saga": round(sum(cpu.values()), 2),
        # The sandbox has no role and counts as a supervisor.
        "cpu_ms_per_saga_by_role": cpu,
    }


async def _bring_in_flight(system: System, pay: Provider, count: int) -> set[str]:
    """So many sagas whose payment is refused for the moment."""
    fault = {"fault": "status", "operation": "payment.refund", "status": 503, "retry_after": "1"}
    pay.request("POST", "/_sandbox/faults", fault)
    core = CoreClient(system.data_dir / "run" / "core.sock")
    await core.open()
    await core.wait_connected(30.0)
    refunds = Refunds(core)
    await refunds.prepare(count)
    ids = set[str]()
    while len(ids) < count:
        ids.update(await asyncio.gather(*(refunds.ask() for _ in range(min(500, count)))))
    deadline = time.monotonic() + PATIENCE_S
    while pay.request("GET", "/_sandbox/calls")["by_operation"].get("erp.authorise_return", 0) < (
        count
    ):
        if time.monotonic() > deadline:
            raise RuntimeError("the sagas do not get to their payment")
        await asyncio.sleep(0.2)
    await core.close()
    return ids


def _recovery(directory: Path, count: int) -> dict[str, Any]:
    data_dir = directory / "recovery"
    with provider(directory / "recovery-ledger") as pay:
        environment = _environment(pay)
        with serving(data_dir, **environment) as system:
            ids = asyncio.run(_bring_in_flight(system, pay, count))
            with _ends(system) as ends:
                os.kill(system.supervisor, signal.SIGKILL)
                killed = time.perf_counter()
                pay.request("DELETE", "/_sandbox/faults")
                with serving(data_dir, **environment):
                    ready = time.perf_counter()
                    while len(ids - ends.completed.keys()) and not ends.other:
                        if time.perf_counter() > killed + PATIENCE_S:
                            raise RuntimeError(f"{len(ids - ends.completed.keys())} did not end")
                        ends.look()
                        time.sleep(LOOK_S)
                    payouts = pay.request("GET", "/_sandbox/ledger")["by_refund"]
    once = sum(payouts.get(id, {}).get("settled") == 1 for id in ids)
    first, last = min(ends.completed.values()), max(ends.completed.values())
    return {
        "in_flight": len(ids),
        "ready_s": round(ready - killed, 2),
        "first_completed_s": round(first - killed, 2),
        "recovery_s": round(last - killed, 2),
        "paid_once": once,
    }


def _environment(pay: Provider) -> dict[str, str]:
    return {
        "KEFU_PAYMENT_URL": pay.url,
        "KEFU_ERP_URL": pay.url,
        "KEFU_SAGA_LONGEST_DELAY_S": "5",
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 15.0)
    options.add_argument("--in-flight", type=int, default=10_000, help="sagas at the kill; 0: none")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as name:
        directory = Path(name)
        with (
            provider(directory / "ledger") as pay,
            serving(directory / "data", **_environment(pay)) as system,
        ):
            result = asyncio.run(_throughput(system, pay, given.seconds))
        if given.in_flight:
            result.update(_recovery(directory, given.in_flight))
    result["fsync_policy"] = "fdatasync before every acknowledgement, here and at the provider"
    result["hardware"] = hardware()
    show("Refund sagas to completion", result, as_json=given.json)


if __name__ == "__main__":
    main()
