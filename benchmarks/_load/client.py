"""A WebSocket load client: many visitors in one process, each with a conversation of its own.

Closed loop: every connection has `window` messages under way and sends the next one when an ack
comes. Then, for each of `rates`, an open loop over the same connections: so many messages a second,
whatever comes back; a message's time begins when it was due. It checks that the acks of a
connection come in order with contiguous `seq`. Raw sockets
under epoll and frames built from constant parts, since the client shares the machine with the
server (see knowledge of the gateway: a library's client costs more than the server).

Standard input: one JSON object, the fields of `Plan`. Standard output: a line `ready`, a line
`measuring`, a line `closed` when the closed loop is over, then one JSON object.
"""

import http.client
import json
import resource
import select
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from benchmarks.report import percentile

_THREADS: Final = 8
_HANDSHAKES_AT_ONCE: Final = 50
_TIMEOUT_S: Final = 30.0
_READ_BYTES: Final = 65536
_MOST_UNDER_WAY: Final = 9
"""Of a connection in an open loop: a thousand stay below the queue limit of the core. What is due
beyond it counts as late and is not sent."""
_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89
_ZERO_MASK: Final = b"\0\0\0\0"
"""RFC 6455 section 5.3 wants it unpredictable, because of scripts in browsers and proxies between;
here are neither, and the server unmasks all the same."""


class Plan(msgspec.Struct, frozen=True):
    """What to do."""

    port: int
    connections: int
    window: int
    warm_up_s: float
    seconds: float
    content_chars: int
    rates: tuple[int, ...] = ()
    """Of the open loops, in messages a second."""


class Answer(msgspec.Struct, frozen=True):
    """What the client reads of a frame."""

    type: str
    ref: str | None = None
    seq: int = 0
    code: str | None = None


_decode: Final = msgspec.json.Decoder(Answer).decode


class Visitor:
    """One connection."""

    __slots__ = ("_buffer", "_head", "_next", "_sent", "_tail", "seq", "socket")

    def __init__(self, connection: socket.socket, conversation_id: str, content: str) -> None:
        self.socket = connection
        self.seq = 0
        self._buffer = b""
        self._next = 0
        self._sent: dict[str, float] = {}
        head = json.dumps(
            {"type": "send", "conversation_id": conversation_id, "content": content, "ref": ""},
            ensure_ascii=False,
        ).encode()[:-2]
        body_bytes = len(head) + 8 + 2
        assert 126 <= body_bytes < 65536, "the header below is for this range"
        self._head = struct.pack("!BBH", _TEXT, 0x80 | 126, body_bytes) + _ZERO_MASK + head
        self._tail = b'"}'

    @property
    def under_way(self) -> int:
        """Messages without an ack."""
        return len(self._sent)

    def send(self, now: float) -> None:
        """One more message; it always fits, since few are under way."""
        self._next += 1
        ref = f"{self._next:08}"
        self._sent[ref] = now
        self.socket.sendall(self._head + ref.encode() + self._tail)

    def receive(self, now: float, latencies: list[float]) -> int:
        """What has arrived; the number of acks in it.

        Raises:
            RuntimeError: the server broke its promises, or said that something is wrong.
        """
        data = self._buffer + self.socket.recv(_READ_BYTES)
        if len(data) == len(self._buffer):
            raise RuntimeError("the server hung up")
        acks = at = 0
        while len(data) - at >= 2:
            size, body = data[at + 1], at + 2
            if size == 126:
                size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if len(data) < body + size:
                break
            if data[at] == _TEXT:
                self._take(_decode(data[body : body + size]), now, latencies)
                acks += 1
            elif data[at] == _PING:
                pong = struct.pack("!BB", 0x8A, 0x80 | size) + _ZERO_MASK
                self.socket.sendall(pong + data[body : body + size])
            elif data[at] == _CLOSE:
                raise RuntimeError(f"the server closed: {data[body : body + size]!r}")
            at = body + size
        self._buffer = data[at:]
        return acks

    def _take(self, answer: Answer, now: float, latencies: list[float]) -> None:
        if answer.type != "ack":
            raise RuntimeError(f"the server said {answer}")
        self.seq += 1
        if answer.seq != self.seq or answer.ref is None:
            raise RuntimeError(f"expected the ack of seq {self.seq}, got {answer}")
        latencies.append(now - self._sent.pop(answer.ref))


def _session(port: int) -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    connection.request("POST", "/api/v1/widget/sessions")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"no session: {body}")
    return body["token"], body["conversation_id"]


def _handshakes(port: int, tokens: list[str]) -> list[socket.socket]:
    opened = []
    for token in tokens:
        connection = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: kefu.v1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        opened.append(connection)
    for connection in opened:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += (part := connection.recv(4096))
            if not part:
                break
        if not answer.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"no connection: {answer[:200]!r}")
    return opened


def connect(plan: Plan) -> list[Visitor]:
    """All visitors, connected."""
    with ThreadPoolExecutor(_THREADS) as threads:
        sessions = list(threads.map(_session, [plan.port] * plan.connections))
    content = ("Where is my order? 我的订单到哪里了？" * 20)[: plan.content_chars]
    visitors = []
    for start in range(0, len(sessions), _HANDSHAKES_AT_ONCE):
        some = sessions[start : start + _HANDSHAKES_AT_ONCE]
        for connection, (_, id) in zip(
            _handshakes(plan.port, [token for token, _ in some]), some, strict=True
        ):
            visitors.append(Visitor(connection, id, content))
    return visitors


def load(plan: Plan, visitors: list[Visitor]) -> dict[str, Any]:
    """Keep every window full, measure after the warm-up."""
    poller = select.epoll()
    by_fd = {visitor.socket.fileno(): visitor for visitor in visitors}
    for fd in by_fd:
        poller.register(fd, select.EPOLLIN)
    clock = time.perf_counter
    latencies: list[float] = []
    acks, measuring, started, cpu = 0, False, clock(), _cpu_s()
    for visitor in visitors:
        for _ in range(plan.window):
            visitor.send(clock())
    end = started + plan.warm_up_s
    while True:
        now = clock()
        if now >= end:
            if measuring:
                break
            print("measuring", flush=True)
            latencies, acks, measuring, cpu = [], 0, True, _cpu_s()
            started = clock()
            end = started + plan.seconds
        for fd, _ in poller.poll(1.0, 1024):
            visitor = by_fd[fd]
            now = clock()
            some = visitor.receive(now, latencies)
            acks += some
            for _ in range(some):
                visitor.send(now)
    return {
        "acks": acks,
        "seconds": now - started,
        "p50_ms": round(percentile(latencies, 0.5) * 1000, 2),
        "p99_ms": round(percentile(latencies, 0.99) * 1000, 2),
        "client_cpu_s": _cpu_s() - cpu,
    }


def load_at(rate: int, plan: Plan, visitors: list[Visitor]) -> dict[str, Any]:
    """An open loop, after what is still under way has come back."""
    poller = select.epoll()
    by_fd = {visitor.socket.fileno(): visitor for visitor in visitors}
    for fd in by_fd:
        poller.register(fd, select.EPOLLIN)
    clock = time.perf_counter
    latencies: list[float] = []

    def receive(wait: float) -> int:
        return sum(by_fd[fd].receive(clock(), latencies) for fd, _ in poller.poll(wait, len(by_fd)))

    while any(visitor.under_way for visitor in visitors):
        if not receive(_TIMEOUT_S):
            raise RuntimeError("acks are missing")
    latencies.clear()
    started = clock()
    sent = late = acks = 0
    while (elapsed := clock() - started) < plan.seconds:
        while sent < elapsed * rate:
            visitor = visitors[sent % len(visitors)]
            if visitor.under_way < _MOST_UNDER_WAY:
                visitor.send(started + sent / rate)
            else:
                late += 1
            sent += 1
        acks += receive(0.001)
    return {
        "messages_per_s": round(acks / elapsed),
        "late": late,
        "p50_ms": round(percentile(latencies, 0.5) * 1000, 2),
        "p99_ms": round(percentile(latencies, 0.99) * 1000, 2),
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _allow_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """As the module says."""
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    _allow_descriptors()
    visitors = connect(plan)
    print("ready", flush=True)
    result = load(plan, visitors)
    print("closed", flush=True)
    result["open"] = {str(rate): load_at(rate, plan, visitors) for rate in plan.rates}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
