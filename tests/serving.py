"""A real `kefu serve` in a temporary directory, for tests of the whole system."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSWORD = "correct horse battery"
ADMIN = "admin@localhost"
READY_S = 180.0
PATIENCE_S = 120.0
"""Every condition is given so long: that costs nothing, but on a machine that is too busy."""
STOP_S = 30.0


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The condition's first true value; fails after `timeout_s` or, if it is more, `PATIENCE_S`."""
    timeout_s = max(timeout_s, PATIENCE_S)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, and none that the kernel gives to a client meanwhile.

    Those begin at 32768 (ip(7), ip_local_port_range); a server that a test kills must get its port
    again while thousands of clients, and another worker's tests, look for one.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def children_of(pid: int) -> dict[str, int]:
    """Role name -> pid of a supervisor's children."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and b"--role" in command:
            found[command[command.index(b"--role") + 1].decode()] = int(entry.name)
    return found


@dataclass
class Kefu:
    """A running system."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def log_file(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".out")

    @property
    def roles(self) -> dict[str, int]:
        assert self.process is not None
        return children_of(self.process.pid)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "interfaces.cli.main", *arguments]

    def full_environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KEFU_DATA_DIR": str(self.data_dir),
            "KEFU_PORT": str(self.port),
            "KEFU_ADMIN_PASSWORD": PASSWORD,
            "KEFU_SESSIONS_PER_MINUTE": "100000",
            "KEFU_LOGIN_PER_MINUTE": "1000",
            "KEFU_LOG_LEVEL": "warning",
            **self.environment,
        }

    def start(self, *, wait: bool = True) -> "Kefu":
        with self.log_file.open("ab") as output:
            self.process = subprocess.Popen(
                self.command("serve"), env=self.full_environment(), stdout=output, stderr=output
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"kefu ended: {self.output()}")
            return self.get("/readyz")[0] == 200

        wait_until(ready, READY_S, "kefu ready")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(STOP_S)

    def kill(self) -> None:
        """SIGKILL to the supervisor; its roles go with it, Postgres stays."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return self.log_file.read_text(errors="replace")

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.full_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> tuple[int, Any, dict[str, str]]:
        """Status (0: nobody answers), decoded body, headers."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=data.encode() if isinstance(data, str) else data,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, _decoded(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read()), dict(error.headers)
        except (urllib.error.URLError, OSError):
            return 0, None, {}

    def get(self, path: str, token: str | None = None, **more: Any) -> tuple[int, Any]:
        status, body, _ = self.request("GET", path, None, token, **more)
        return status, body

    def post(self, path: str, body: Any = None, token: str | None = None, **more: Any) -> Any:
        """The body of a successful POST."""
        status, answer, _ = self.request("POST", path, body or {}, token, **more)
        assert 200 <= status < 300, (path, status, answer)
        return answer

    def login(self, email: str = ADMIN, password: str = PASSWORD) -> str:
        answer = self.post("/api/v1/auth/login", {"email": email, "password": password})
        return str(answer["token"])

    def agent(self, role: str = "agent", name: str = "梅 Mei") -> tuple[str, str]:
        """A new agent: its id and token."""
        email = f"{role}{time.time_ns()}@shop.example"
        body = {"email": email, "name": name, "role": role, "password": PASSWORD}
        created = self.post("/api/v1/agents", body, self.login())
        return created["id"], self.login(email)

    def visitor(self, **contact: Any) -> dict[str, Any]:
        """A new visitor's session."""
        body = {"contact": contact} if contact else {}
        session: dict[str, Any] = self.post("/api/v1/widget/sessions", body)
        return session


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def stop_postgres(data_dir: Path) -> None:
    """End an embedded Postgres that a test left behind."""
    try:
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGINT)
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return


@contextmanager
def running(data_dir: Path, **environment: str) -> Iterator[Kefu]:
    """A system that is stopped at the end, whatever happens."""
    kefu = Kefu(data_dir, environment=environment)
    try:
        yield kefu.start()
    finally:
        kefu.stop()
        stop_postgres(data_dir)
