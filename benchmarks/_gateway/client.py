"""Load of many WebSockets from one process: `python -m benchmarks._gateway.client` with a `Plan` as
JSON on standard input; prints `ready`, waits for a line, then prints one JSON object.

Raw sockets under epoll and one frame made once: the client shares the machine with the server.
Closed loop (`rate` 0): each connection sends again when its echo has come. Open loop: `rate`
messages a second, spread over the connections, whatever comes back; a message's time begins when it
was due, not when it could be sent.
"""

import json
import select
import socket
import sys
import time
from typing import Any, Final

import msgspec

from benchmarks.report import percentile

_ZERO_MASK: Final = b"\0\0\0\0"
_TIMEOUT_S: Final = 30.0
_AT_ONCE: Final = 200


class Plan(msgspec.Struct, frozen=True):
    """What to do."""

    port: int
    connections: int
    message_bytes: int
    rate: int
    """Messages a second of all connections; 0: as many as come back."""
    warm_up_s: float
    seconds: float


def _connect(plan: Plan) -> list[socket.socket]:
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    found: list[socket.socket] = []
    while len(found) < plan.connections:
        some = []
        for _ in range(min(_AT_ONCE, plan.connections - len(found))):
            one = socket.create_connection(("127.0.0.1", plan.port), _TIMEOUT_S)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(request)
            some.append(one)
        for one in some:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = one.recv(4096)
                if not more:
                    raise ConnectionError(f"refused: {head[:100]!r}")
                head += more
            if not head.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(f"refused: {head[:100]!r}")
        found += some
    return found


def frames(size: int) -> tuple[bytes, int]:
    """A masked text frame with a payload of so many bytes, and the length of its echo."""
    body = b'{"type":"send","content":"' + b"x" * (size - 28) + b'"}'
    if size < 126:
        return bytes((0x81, 0x80 | size)) + _ZERO_MASK + body, size + 2
    return b"\x81\xfe" + size.to_bytes(2, "big") + _ZERO_MASK + body, size + 4


class _Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sockets = _connect(plan)
        self._frame, self._echo = frames(plan.message_bytes)
        self._epoll = select.epoll()
        self._by_fd = {one.fileno(): one for one in self._sockets}
        self._due = dict.fromkeys(self._by_fd, 0.0)
        """When the message that is under way was due; 0: none is."""
        self._got = dict.fromkeys(self._by_fd, 0)
        for one in self._sockets:
            one.setblocking(False)
            self._epoll.register(one.fileno(), select.EPOLLIN)
        self.times: list[float] = []
        self.late = 0
        """Messages that could not be sent when due: their connection still waited for an echo."""

    def run(self, seconds: float) -> float:
        """Echoes a second."""
        self.times, self.late = [], 0
        began = time.perf_counter()
        end = began + seconds
        if self._plan.rate == 0:
            for fd in self._by_fd:
                if not self._due[fd]:
                    self._send(fd, began)
        sent, order, turn = 0, list(self._by_fd), 0
        while (now := time.perf_counter()) < end:
            if self._plan.rate:
                while sent < (now - began) * self._plan.rate:
                    fd = order[turn % len(order)]
                    turn += 1
                    if self._due[fd]:
                        self.late += 1
                    else:
                        self._send(fd, began + sent / self._plan.rate)
                    sent += 1
                wait = 0.001
            else:
                wait = 0.1
            self._receive(wait, end)
        return len(self.times) / (time.perf_counter() - began)

    def _send(self, fd: int, due: float) -> None:
        self._due[fd] = due
        self._by_fd[fd].send(self._frame)

    def _receive(self, wait: float, end: float) -> None:
        again = self._plan.rate == 0
        for fd, _ in self._epoll.poll(wait, 4096):
            data = self._by_fd[fd].recv(65536)
            if not data:
                raise ConnectionError("the server closed a connection")
            got = self._got[fd] + len(data)
            if got >= self._echo:
                got -= self._echo
                now = time.perf_counter()
                self.times.append(now - self._due[fd])
                self._due[fd] = 0.0
                if again and now < end:
                    self._send(fd, now)
            self._got[fd] = got


def main() -> None:
    """Connect, wait for a line, measure."""
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    load = _Load(plan)
    print("ready", flush=True)
    sys.stdin.readline()
    if not plan.seconds:
        return
    load.run(plan.warm_up_s)
    print("measuring", flush=True)
    started = time.process_time()
    rate = load.run(plan.seconds)
    cpu = time.process_time() - started
    result: dict[str, Any] = {
        "messages_per_s": round(rate),
        "messages": len(load.times),
        "late": load.late,
        "p50_ms": round(percentile(load.times, 0.5) * 1000, 2),
        "p99_ms": round(percentile(load.times, 0.99) * 1000, 2),
        "client_cpu_s_per_100k": round(cpu / max(1, len(load.times)) * 1e5, 2),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
