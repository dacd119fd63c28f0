"""Messages a second through the whole command path, from a WebSocket frame to its ack.

A real `kefu serve` (all roles and the embedded Postgres) in a temporary directory; a client in
another process on the same machine; every connection a visitor with a conversation of its own. An
ack leaves the server only when the message is on disk, so this counts durable messages. First a
closed loop, then open loops at 20,000 and 5,000 messages a second over the same connections.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from benchmarks._load.client import Plan
from benchmarks._load.processes import cpu_seconds
from benchmarks._load.system import System, serving
from benchmarks.report import hardware, parser, show

CONNECTIONS = 1_000
WINDOW = 1
WARM_UP_S = 2.0
CONTENT_CHARS = 120
RATES = {"20k": 20_000, "5k": 5_000}


def _measure(system: System, plan: Plan) -> dict[str, Any]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks._load.client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(msgspec.json.encode(plan) + b"\n")
        client.stdin.flush()
        _expect(client.stdout.readline(), b"ready\n")
        _expect(client.stdout.readline(), b"measuring\n")
        before = cpu_seconds(system.roots())
        _expect(client.stdout.readline(), b"closed\n")
        after = cpu_seconds(system.roots())
        line = client.stdout.readline()
    if not line:
        raise RuntimeError("the client gave up; see its error above")
    found: dict[str, Any] = msgspec.json.decode(line)
    per_100k = 100_000 / max(1, found["acks"])
    used = {kind: after[kind] - before.get(kind, 0.0) for kind in after}
    return {
        "messages_per_s": round(found["acks"] / found["seconds"]),
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "connections": plan.connections,
        "window": plan.window,
        "content_chars": plan.content_chars,
        "fsync_policy": "fdatasync before every acknowledgement",
        "cpu_s_per_100k": round(sum(used.values()) * per_100k, 2),
        "cpu_s_per_100k_by_role": {
            kind: round(seconds * per_100k, 2) for kind, seconds in sorted(used.items())
        },
        "client_cpu_s_per_100k": round(found["client_cpu_s"] * per_100k, 2),
        **{
            f"{name}_{label}": found["open"][str(rate)][name]
            for label, rate in RATES.items()
            if str(rate) in found["open"]
            for name in ("messages_per_s", "p50_ms", "p99_ms", "late")
        },
        "hardware": hardware(),
    }


def _expect(line: bytes, expected: bytes) -> None:
    if line != expected:
        raise RuntimeError(f"the client said {line!r}, not {expected!r}; see its error above")


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 10.0)
    options.add_argument("--connections", type=int, default=CONNECTIONS)
    options.add_argument("--window", type=int, default=WINDOW, help="sends without an ack each")
    options.add_argument("--no-rates", action="store_true", help="the closed loop only")
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder,
        serving(Path(folder) / "data") as system,
    ):
        plan = Plan(
            port=system.port,
            connections=given.connections,
            window=given.window,
            warm_up_s=WARM_UP_S,
            seconds=given.seconds,
            content_chars=CONTENT_CHARS,
            rates=() if given.no_rates else tuple(RATES.values()),
        )
        result = _measure(system, plan)
    show("command path", result, as_json=given.json)


if __name__ == "__main__":
    main()
