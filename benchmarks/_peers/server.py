"""A peer's server: a child in this process group, on loopback, ended by its pid."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks._peers.peer import Unavailable

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 20.0


def find(program: str) -> str:
    """Path of a server's program: beside this Python first, then on PATH.

    Raises:
        Unavailable: it is not installed.
    """
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise Unavailable(f"{program} is not installed")
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A process that runs until `stop`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Return when it answers.

        Raises:
            RuntimeError: it ended, or took too long; with the end of its log.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"it does not start: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def accepts(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
