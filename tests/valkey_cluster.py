"""Real servers for tests: a cluster of three masters on loopback, started and ended by the test."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.serving import free_port
from tests.tools import require

WAIT_S = 60.0
_THIRDS = ((0, 5460), (5461, 10922), (10923, 16383))


def server_program() -> str:
    """valkey-server or redis-server, whichever is installed."""
    return shutil.which("valkey-server") or require("redis-server")


class ValkeyServer:
    """One server; what it holds is gone when it ends."""

    def __init__(self, directory: Path, port: int, *options: str) -> None:
        self.port = port
        self.tls_port = 0
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it says."""
        return self._directory / "log"

    def start(self) -> Self:
        """Start it, or start it again."""
        self._directory.mkdir(exist_ok=True)
        command = [server_program(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._directory), "--save", "", "--appendonly", "no"]
        log = self.log.open("ab")
        self._process = subprocess.Popen(
            [*command, *self._options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        return self

    def client(self, **options: Any) -> "Redis":
        return Redis(host="127.0.0.1", port=self.port, socket_timeout=2, **options)

    def command(self, *words: Any) -> Any:
        """One command on a connection of its own."""
        with self.client() as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def wait_ready(self) -> None:
        """Until it answers."""
        until(lambda: _answers(self))

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, as a machine that has gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class ValkeyCluster:
    """Three masters; slots of a dead one are missing, the others go on."""

    def __init__(self, directory: Path) -> None:
        self.servers = [
            ValkeyServer(
                directory / f"node-{number}",
                port,
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                "--cluster-require-full-coverage",
                "no",
                # By itself port + 10,000, which a high port has not.
                "--cluster-port",
                str(bus_port),
            )
            for number, (port, bus_port) in enumerate(free_ports(3))
        ]
        self._bus_ports = [int(server._options[-1]) for server in self.servers]

    @property
    def url(self) -> str:
        """Names every master, so that any one may be down."""
        return "redis://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def start(self) -> None:
        """Start the masters, share out the slots, wait until each finds the cluster whole."""
        for server in self.servers:
            server.start()
        for server, (first, last) in zip(self.servers, _THIRDS, strict=True):
            server.wait_ready()
            server.command("CLUSTER ADDSLOTSRANGE", first, last)
        for server, bus_port in zip(self.servers[1:], self._bus_ports[1:], strict=True):
            self.servers[0].command("CLUSTER MEET", "127.0.0.1", server.port, bus_port)
        self.wait_whole()

    def wait_whole(self) -> None:
        """Until every master says that all slots are served."""
        for server in self.servers:
            until(lambda server=server: _is_whole(server))

    def owner(self, key: str) -> ValkeyServer:
        """The master of a key, as the slots were shared out."""
        slot = self.servers[0].command("CLUSTER KEYSLOT", key)
        place = [first <= slot <= last for first, last in _THIRDS].index(True)
        return self.servers[place]

    def move_slot(self, slot: int, source: ValkeyServer, target: ValkeyServer) -> None:
        """Give a slot, and its keys, to another master, as `redis-cli --cluster reshard` does."""
        ids = {server.port: server.command("CLUSTER MYID").decode() for server in self.servers}
        target.command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source.port])
        source.command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target.port])
        while keys := source.command("CLUSTER GETKEYSINSLOT", slot, 100):
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 2000, "KEYS", *keys)
        for server in (target, source, *self.servers):
            server.command("CLUSTER SETSLOT", slot, "NODE", ids[target.port])

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """One for the tests of a module, which leave it whole."""
    found = ValkeyCluster(tmp_path_factory.mktemp("valkey"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


def until(condition: Any, bound_s: float = WAIT_S) -> None:
    """Wait until it holds."""
    end = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def _answers(server: ValkeyServer) -> bool:
    try:
        return server.command("PING") in (True, b"PONG")
    except (RedisError, OSError):
        return False


def _is_whole(server: ValkeyServer) -> bool:
    try:
        info = server.command("CLUSTER INFO")
    except (RedisError, OSError):
        return False
    text = (
        info
        if isinstance(info, dict)
        else dict(line.split(":", 1) for line in info.decode().split("\r\n") if ":" in line)
    )
    return (
        text["cluster_state"] == "ok"
        and int(text["cluster_slots_ok"]) == 16384
        and int(text["cluster_known_nodes"]) == 3
    )


def free_ports(count: int) -> list[tuple[int, int]]:
    """Pairs of ports of 127.0.0.1 that nobody listens on just now."""
    ports: set[int] = set()
    while len(ports) < 2 * count:
        ports.add(free_port())
    return [(ports.pop(), ports.pop()) for _ in range(count)]
