"""A real `kefu serve` in a directory of its own, for as long as a benchmark runs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

_READY_S: Final = 60.0


class System(NamedTuple):
    """Where it listens, and its processes."""

    port: int
    supervisor: int
    data_dir: Path

    def roots(self) -> list[int]:
        """Supervisor and Postgres, which is nobody's child."""
        pid_file = self.data_dir / "postgres" / "postmaster.pid"
        try:
            return [self.supervisor, int(pid_file.read_text().split()[0])]
        except (FileNotFoundError, ValueError, IndexError):
            return [self.supervisor]


@contextmanager
def serving(data_dir: Path, **more: str) -> Iterator[System]:
    """Start it, wait until it is ready, stop it at the end; `more` is for its environment.

    Raises:
        RuntimeError: it did not become ready; the message holds the end of its output.
    """
    port = _free_port()
    output = data_dir.with_name(data_dir.name + ".out")
    environment = {
        **os.environ,
        "KEFU_DATA_DIR": str(data_dir),
        "KEFU_PORT": str(port),
        "KEFU_HOST": "127.0.0.1",
        "KEFU_ADMIN_PASSWORD": "benchmark password",
        # A thousand visitors come from one address.
        "KEFU_SESSIONS_PER_MINUTE": "1000000",
        "KEFU_LOG_LEVEL": "warning",
        **more,
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "interfaces.cli.main", "serve"],
            env=environment,
            stdout=file,
            stderr=file,
        )
    try:
        _wait_ready(process, port, output)
        yield System(port, process.pid, data_dir)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"kefu is not ready: {output.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
