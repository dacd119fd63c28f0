"""Very many WebSockets at once: how many are held, what they cost, and how a heartbeat fares.

The gateway's loop, protocol reader and handshake (an echo in place of a session), several processes
on one port (SO_REUSEPORT), in a network namespace of their own (`unshare -n`, so that connection
tracking and other programs' ports do not count), clients on many source addresses (127.x.y.z, some
20,000 ports each). Then heartbeats go over all connections, each of which must come back.

A million needs about 1 GB for the processes, 4 to 6 GB of kernel memory and root.
"""

import json
import math
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks._gateway.client import frames
from benchmarks.report import hardware, parser, percentile, show

_INSIDE: Final = "KEFU_BENCH_NAMESPACE"
_PORT: Final = 9_000
_PER_PROCESS: Final = 15_000
"""Connections of one client process, each process with a source address of its own."""
_AT_ONCE: Final = 100
_HEARTBEAT_BYTES: Final = 40
_WAIT_S: Final = 120.0


def _memory(pids: list[int]) -> float:
    """Memory of processes in MB; what they share is counted once (PSS)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1000


def _kernel_mb() -> float:
    """Slab and TCP buffers, machine-wide; a difference of two looks says what connections cost."""
    slab = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            slab = int(line.split()[1])
    return slab / 1000


def _tcp_aborts() -> dict[str, int]:
    """Why the kernel of this namespace gave connections up, and what it dropped (netstat(8))."""
    names, numbers = Path("/proc/net/netstat").read_text().splitlines()[:2]
    found = dict(zip(names.split()[1:], map(int, numbers.split()[1:]), strict=True))
    wanted = ("TCPAbort", "TCPTimeouts", "TCPKeepAlive", "ListenDrops", "TCPBacklogDrop")
    return {name: n for name, n in found.items() if name.startswith(wanted)}


def _client(number: int, connections: int) -> None:
    """Holds connections; for each line on standard input, a heartbeat over all of them."""
    source = f"127.{1 + number // 60_000}.{number // 250 % 250}.{1 + number % 250}"
    request = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    held: dict[int, socket.socket] = {}
    while len(held) < connections:
        some = []
        for _ in range(min(_AT_ONCE, connections - len(held))):
            one = socket.socket()
            one.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            one.bind((source, 0))
            one.settimeout(_WAIT_S)
            one.connect(("127.0.0.1", _PORT))
            one.sendall(request)
            some.append(one)
        for one in some:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = one.recv(4096)
                if not more:
                    raise ConnectionError("refused")
                head += more
            one.setblocking(False)
            held[one.fileno()] = one
        print(len(held), flush=True)
    poller = select.epoll()
    for fd in held:
        poller.register(fd, select.EPOLLIN)
    frame, echo = frames(_HEARTBEAT_BYTES)
    for line in sys.stdin:
        rate = float(line)
        began = time.perf_counter()
        due: dict[int, float] = {}
        times: list[float] = []
        lost: Counter[str] = Counter()
        order = list(held)
        sent = 0

        def drop(fd: int, why: str, lost: Counter[str] = lost) -> None:
            poller.unregister(fd)
            held.pop(fd).close()
            lost[why] += 1

        while len(times) + lost.total() < len(order):
            now = time.perf_counter()
            if now - began > len(order) / rate + _WAIT_S:
                break
            while sent < len(order) and sent < (now - began) * rate:
                fd = order[sent]
                sent += 1
                if fd not in held:
                    continue
                try:
                    held[fd].send(frame)
                except OSError as error:
                    drop(fd, f"sending: {error.strerror or error}")
                else:
                    due[fd] = began + (sent - 1) / rate
            for fd, _ in poller.poll(0.002, 1024):
                try:
                    got = held[fd].recv(4096)
                except OSError as error:
                    got, why = b"", error.strerror or str(error)
                else:
                    why = f"{len(got)} bytes came back"
                if len(got) == echo and fd in due:
                    times.append(time.perf_counter() - due.pop(fd))
                else:
                    drop(fd, why)
        answer = {"times": [round(one * 1e6) for one in times], "lost": lost}
        print(json.dumps(answer), flush=True)


def _inside(connections: int, gateways: int, rate: float, idle_s: float) -> dict[str, Any]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    # The kernel spreads connections evenly, but not exactly so.
    gateways = gateways or max(2, math.ceil(connections / limit / 0.9))
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65000")
    processes = (connections + _PER_PROCESS - 1) // _PER_PROCESS
    server = [sys.executable, "-m", "benchmarks._gateway.servers", "kefu", str(_PORT)]
    servers = [subprocess.Popen(server, stdout=subprocess.PIPE, text=True) for _ in range(gateways)]
    clients: list[subprocess.Popen[str]] = []
    try:
        for one in servers:
            assert one.stdout is not None
            one.stdout.readline()
        pids = [one.pid for one in servers]
        before, kernel_before, aborts_before = _memory(pids), _kernel_mb(), _tcp_aborts()
        began = time.perf_counter()
        left = connections
        for number in range(processes):
            some = min(_PER_PROCESS, left)
            left -= some
            command = [sys.executable, "-m", "benchmarks.million", "--client", str(number)]
            client = subprocess.Popen(
                [*command, "--connections", str(some)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            clients.append(client)
            _hold(client, some)
            print(f"\r  {connections - left:,} of {connections:,} held", end="", file=sys.stderr)
        connect_s = time.perf_counter() - began
        print(file=sys.stderr)
        memory, kernel = _memory(pids), _kernel_mb()
        time.sleep(idle_s)
        each = rate / processes
        for client in clients:
            assert client.stdin is not None
            client.stdin.write(f"{each}\n")
            client.stdin.flush()
        times: list[float] = []
        lost: Counter[str] = Counter()
        for client in clients:
            assert client.stdout is not None
            found = json.loads(client.stdout.readline())
            times += found["times"]
            lost.update(found["lost"])
        held = sum(_held(pid) for pid in pids)
    finally:
        for one in (*clients, *servers):
            one.kill()
    return {
        "connections": connections,
        "held": held,
        "heartbeats_back": len(times),
        "lost": dict(lost),
        "tcp_aborts": {k: n - aborts_before[k] for k, n in _tcp_aborts().items()},
        "heartbeats_per_s": rate,
        "idle_s": idle_s,
        "p50_ms": round(percentile(times, 0.5) / 1000, 2),
        "p99_ms": round(percentile(times, 0.99) / 1000, 2),
        "gateways": gateways,
        "server_mb": round(memory, 1),
        "server_kb_per_connection": round((memory - before) * 1000 / connections, 3),
        "kernel_slab_mb": round(kernel - kernel_before, 1),
        "kernel_kb_per_connection_both_ends": round(
            (kernel - kernel_before) * 1000 / connections, 2
        ),
        "connect_s": round(connect_s, 1),
        "fsync_policy": "none: an echo",
        "hardware": hardware(),
    }


def _hold(client: subprocess.Popen[str], connections: int) -> None:
    assert client.stdout is not None
    for line in client.stdout:
        if int(line) == connections:
            return
    raise RuntimeError("a client could not connect; see its error above")


def _held(pid: int) -> int:
    """Sockets that a process has open, without its listener."""
    found = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(entry.path).startswith("socket:")
        except OSError:
            continue
    return found - 3  # the listener, and asyncio's pair


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 0.0)
    options.add_argument("--connections", type=int, default=100_000)
    options.add_argument(
        "--gateways", type=int, default=0, help="processes on the port; 0: by the limit of files"
    )
    options.add_argument("--rate", type=float, default=10_000.0, help="heartbeats a second")
    options.add_argument(
        "--idle", type=float, default=0.0, help="seconds of silence before the heartbeats"
    )
    options.add_argument("--client", type=int, help="(inside: which client this is)")
    given = options.parse_args()
    if given.client is not None:
        _client(given.client, given.connections)
        return
    if os.environ.get(_INSIDE) != "1":
        inside = ["unshare", "-n", sys.executable, "-m", "benchmarks.million", *sys.argv[1:]]
        os.execvpe("unshare", inside, os.environ | {_INSIDE: "1"})
    result = _inside(given.connections, given.gateways, given.rate, given.idle)
    show("million", result, as_json=given.json)


if __name__ == "__main__":
    main()
