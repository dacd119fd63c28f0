"""`kefu serve`: all roles of one machine as supervised child processes."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

import structlog

from domain.errors import KefuError
from interfaces.settings import Settings
from interfaces.workers import lifeline

ROLES: Final = ("core", "web", "projector", "automation")
WRONG_USE: Final = 2
"""A role that exits with this status would only do so again: it is not restarted."""

_STOP_ORDER: Final = ("web", "automation", "projector", "core")
_STOP_ROLE_S: Final = 2.5
_FIRST_BACKOFF_S: Final = 0.2
_LAST_BACKOFF_S: Final = 10.0
_STEADY_S: Final = 30.0
"""A role that ran this long begins again with the first backoff."""

_log = structlog.get_logger(__name__)


class AlreadyRunning(KefuError):
    """Another `kefu serve` has this data directory."""

    code = "already-running"


class Database(Protocol):
    """The embedded Postgres, or nothing where the operator has a server."""

    @property
    def pid(self) -> int | None: ...

    def start(self) -> bool: ...

    def stop(self) -> None: ...


class _Role:
    """One child process and when to start it again."""

    def __init__(self, name: str, environment: dict[str, str], pipe: int) -> None:
        self.name = name
        self.restarts = 0
        self._environment = environment
        self._pipe = pipe
        self._backoff = _FIRST_BACKOFF_S
        self._started = 0.0
        self._due = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "interfaces.cli.main", "serve", "--role", self.name],
            env={**self._environment, lifeline.PARENT_VARIABLE: str(self._pipe)},
            pass_fds=(self._pipe,),
            stdin=subprocess.DEVNULL,
            # A terminal's Ctrl-C reaches the supervisor, which stops the roles in order.
            start_new_session=True,
        )

    def tend(self) -> int | None:
        """Start it again when it has ended and its time has come.

        Returns:
            The exit status of a role that must not be started again.
        """
        now = time.monotonic()
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return None
            if status == WRONG_USE:
                return status
            if now - self._started > _STEADY_S:
                self._backoff = _FIRST_BACKOFF_S
            self.process = None
            self._due = now + self._backoff
            _log.error(
                "supervisor.role_ended", ended=self.name, status=status, retry_s=self._backoff
            )
            self._backoff = min(2 * self._backoff, _LAST_BACKOFF_S)
        if now >= self._due:
            self.restarts += 1
            self.start()
        return None

    def stop(self) -> None:
        """Ask it to end, and after a while make it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_ROLE_S)
        except subprocess.TimeoutExpired:
            _log.error("supervisor.role_killed", ended=self.name)
            self.process.kill()
            self.process.wait()


def serve(settings: Settings, database: Database | None, say: Callable[[str], None]) -> int:
    """Run all roles until SIGTERM or SIGINT.

    Returns:
        Exit status.

    Raises:
        AlreadyRunning: another `kefu serve` has this data directory, or somebody has the port.
    """
    lock = _lock(settings.run_dir)
    _require_free_port(settings)
    stopping = _catch_signals()
    if database is not None:
        found = database.start()
        _log.info("supervisor.postgres", pid=database.pid, found_running=found)
    read_end, write_end = os.pipe()
    environment = {**os.environ, **settings.environment()}
    roles = [_Role(name, environment, read_end) for name in ROLES]
    status = 0
    try:
        for role in roles:
            role.start()
        ready = False
        while not stopping():
            ended = [code for role in roles if (code := role.tend()) is not None]
            if ended:
                status = ended[0]
                break
            if database is not None and database.pid is None:
                _log.error("supervisor.postgres_ended")
                _start_again(database)
            if not ready and _is_ready(settings):
                ready = True
                say(f"kefu ready: {settings.url}/console")
                say(f"demo page:  {settings.url}/demo")
            time.sleep(0.1)
    finally:
        for name in _STOP_ORDER:
            next(role for role in roles if role.name == name).stop()
        if database is not None:
            database.stop()
        os.close(write_end)
        os.close(read_end)
        os.close(lock)
    return status


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise AlreadyRunning(
                f"can't listen on {settings.host}:{settings.port}: {error.strerror}; "
                "give another --port."
            ) from None


def _start_again(database: Database) -> None:
    try:
        database.start()
    except KefuError as error:
        _log.error("supervisor.postgres_does_not_start", error=error.detail)


def _lock(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise AlreadyRunning(
            f"{directory.parent} is served by process {pid or 'unknown'}; "
            "stop it, or give another --data-dir."
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def _catch_signals() -> Callable[[], bool]:
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return lambda: bool(seen)


def _is_ready(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"{settings.url}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
