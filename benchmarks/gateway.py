"""The connection layer beside what people use: our gateway, uvicorn + FastAPI, and nginx in front
of either, each with the same load in turn.

An echo of 200-byte messages (the way through kefu to the disk is `benchmarks.command_path`),
at saturation (closed loop) and at 10,000 messages/s (open loop). `cpu_s_per_100k` is the processor
time of all processes of the server, kernel included, for 100,000 echoes. Needs nginx (Debian).
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks._gateway.client import Plan
from benchmarks.report import hardware, parser, show

MESSAGE_BYTES: Final = 200
LOADS: Final = {"saturation": 0, "10k": 10_000}
SERVERS: Final = ("kefu", "uvicorn", "nginx-uvicorn", "nginx-kefu")
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_NGINX: Final = """
daemon off; worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 20000; multi_accept on; }}
http {{
  access_log off; proxy_temp_path {folder}/p; client_body_temp_path {folder}/b;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream back {{ server 127.0.0.1:{back}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{
      proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade"; proxy_read_timeout 300s; proxy_buffering off;
    }}
  }}
}}
"""


class _Usage(NamedTuple):
    cpu_s: float
    rss_mb: float


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tree(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def _usage(pids: list[int]) -> _Usage:
    cpu = rss = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) * _TICK_S
        rss += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return _Usage(cpu, rss)


@contextlib.contextmanager
def _process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def _serving(server: str) -> Iterator[tuple[int, list[int]]]:
    """Start a server, and nginx before it where it is in the name: port and all pids."""
    kind = server.removeprefix("nginx-")
    with contextlib.ExitStack() as stack:
        port = _free_port()
        command = [sys.executable, "-m", "benchmarks._gateway.servers", kind, str(port)]
        process = stack.enter_context(_process(command, stdout=subprocess.PIPE))
        assert process.stdout is not None
        if process.stdout.readline() != "up\n":
            raise RuntimeError(f"{server} did not start")
        pids = [process.pid]
        if server != kind:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kefu-bench-")))
            front = _free_port()
            (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=front, back=port))
            command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
            nginx = stack.enter_context(_process(command, stderr=subprocess.DEVNULL))
            _wait_for(front)
            pids += _tree(nginx.pid)
            port = front
        _wait_for(port)
        yield port, pids


def _wait_for(port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nobody listens on {port}")


@contextlib.contextmanager
def _client(plan: Plan) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks._gateway.client"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with _process(command, **pipes) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(msgspec.json.encode(plan).decode() + "\n")
        client.stdin.flush()
        if client.stdout.readline() != "ready\n":
            raise RuntimeError("the client could not connect")
        yield client


def _measure(server: str, connections: int, load: str, seconds: float) -> dict[str, Any]:
    with _serving(server) as (port, pids):
        plan = Plan(port, connections, MESSAGE_BYTES, LOADS[load], min(2.0, seconds), seconds)
        with _client(plan) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write("go\n")
            client.stdin.flush()
            client.stdout.readline()
            before = _usage(pids)
            found: dict[str, Any] = json.loads(client.stdout.readline())
            after = _usage(pids)
    cpu = after.cpu_s - before.cpu_s
    row = {
        "server": server,
        "connections": connections,
        "load": load,
        "cpu_s_per_100k": round(cpu / max(1, found["messages"]) * 1e5, 2),
        **found,
        "rss_mb": round(after.rss_mb, 1),
    }
    print(f"  {row}", file=sys.stderr)
    return row


def _idle(first: int, more: int) -> dict[str, float]:
    """Memory of our gateway with connections that say nothing.

    Args:
        first: With these the process gets what it needs once.
        more: What each of these adds is what a connection costs.
    """
    with _serving("kefu") as (port, pids), _client(Plan(port, first, MESSAGE_BYTES, 0, 0.0, 0.0)):
        before = _usage(pids).rss_mb
        with _client(Plan(port, more, MESSAGE_BYTES, 0, 0.0, 0.0)):
            after = _usage(pids).rss_mb
    return {
        "kb_per_idle_connection": round((after - before) * 1000 / more, 2),
        f"gateway_mb_at_{first}": round(before, 1),
    }


def _ratio(rows: list[dict[str, Any]], load: str) -> float | None:
    """Our processor time a message against nginx in front of uvicorn, the worst of all."""
    cpu = {(r["server"], r["connections"]): r["cpu_s_per_100k"] for r in rows if r["load"] == load}
    ratios = [
        cpu["kefu", n] / cpu["nginx-uvicorn", n]
        for server, n in cpu
        if server == "kefu" and ("nginx-uvicorn", n) in cpu
    ]
    return round(max(ratios), 2) if ratios else None


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 5.0)
    options.add_argument("--connections", default="1000,5000", help="by commas")
    options.add_argument("--servers", default=",".join(SERVERS), help="by commas")
    given = options.parse_args()
    servers = given.servers.split(",")
    if shutil.which("nginx") is None:
        print("nginx is not installed: left out", file=sys.stderr)
        servers = [server for server in servers if not server.startswith("nginx")]
    rows = [
        _measure(server, int(connections), load, given.seconds)
        for connections in given.connections.split(",")
        for load in LOADS
        for server in servers
    ]
    result = {
        "results": rows,
        "cpu_vs_nginx_uvicorn_saturation": _ratio(rows, "saturation"),
        "cpu_vs_nginx_uvicorn_10k": _ratio(rows, "10k"),
        **_idle(5_000, 12_000),
        "message_bytes": MESSAGE_BYTES,
        "fsync_policy": "none: an echo",
        "hardware": hardware(),
    }
    show("gateway", result, as_json=given.json)


if __name__ == "__main__":
    main()
