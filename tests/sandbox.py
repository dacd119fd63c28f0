"""A real `kefu sandbox` with a ledger of its own, for tests of sagas and of the adapter."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.serving import free_port, wait_until

READY_S = 60.0


@dataclass
class Sandbox:
    """A running sandbox; it keeps its port and its ledger over a restart."""

    data_dir: Path
    options: tuple[str, ...] = ()
    """More of its command line, for example `--settle async`."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output_file(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".out")

    def start(self) -> "Sandbox":
        command = [sys.executable, "-m", "interfaces.cli.main", "sandbox"]
        command += ["--data-dir", str(self.data_dir), "--port", str(self.port), *self.options]
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        # What an earlier process printed is not what this one prints.
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        wait_until(self._is_ready, READY_S, "the sandbox is ready")
        return self

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start again, after `kill` or `stop` or not: then it is killed."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.start()

    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    def faults(self, *faults: dict[str, Any]) -> list[int]:
        """Set more faults; their ids."""
        return [self.request("POST", "/_sandbox/faults", fault)[1]["id"] for fault in faults]

    def hits(self) -> dict[int, int]:
        """Id -> how often it happened."""
        return {row["id"]: row["hits"] for row in self.request("GET", "/_sandbox/faults")[1]}

    def clear_faults(self) -> None:
        self.request("DELETE", "/_sandbox/faults")

    def order(self, reference: str, total_minor: int, currency: str = "EUR") -> None:
        body = {"total_minor": total_minor, "currency": currency}
        assert self.request("PUT", f"/_sandbox/orders/{reference}", body)[0] == 200

    def ledger(self, order: str = "") -> Any:
        return self.request("GET", f"/_sandbox/ledger?order={order}")[1]

    def calls(self) -> Any:
        return self.request("GET", "/_sandbox/calls")[1]

    def callbacks(self) -> Any:
        return self.request("GET", "/_sandbox/callbacks")[1]

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        timeout_s: float = 10.0,
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, decoded body, headers.

        Raises:
            OSError: no answer.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {} if key is None else {"Idempotency-Key": key}
        request = urllib.request.Request(
            self.url + path, data, {**headers, "Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, _decoded(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read()), dict(error.headers)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the sandbox ended: {self.output()}")
        return f"kefu sandbox ready: {self.url}" in self.output()


@contextmanager
def running(data_dir: Path, *options: str) -> Iterator[Sandbox]:
    """A sandbox that is stopped at the end, whatever happens."""
    sandbox = Sandbox(data_dir, options)
    try:
        yield sandbox.start()
    finally:
        if sandbox.process is not None and sandbox.process.poll() is None:
            sandbox.stop()


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
