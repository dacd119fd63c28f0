"""`kefu serve`: all roles of one machine as supervised child processes."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import structlog

from domain.errors import InvalidInput
from interfaces.settings import Settings
from interfaces.workers import lifeline
from interfaces.workers.database_watch import PART, Database, DatabaseWatch
from interfaces.workers.gateway_number import NUMBER_VARIABLE as GATEWAY_NUMBER
from interfaces.workers.readiness import Readiness
from interfaces.workers.stop_signals import Interrupted, StopSignals

ROLES: Final = ("core", "web", "gateway", "link", "projector", "automation", "audit")
WRONG_USE: Final = 2
"""A role that exits with this status would only do so again: it is not restarted."""

_STOP_ORDER: Final = (("gateway", "web", "link"), ("automation", "projector", "audit"), ("core",))
_STOP_S: Final = {
    "gateway": 2.5,
    "web": 2.5,
    "link": 2.5,
    "automation": 1.0,
    "projector": 1.0,
    "audit": 1.0,
    "core": 1.5,
}
"""With Postgres' own limit of 4 s less than the 10 s of the contract."""

_PATIENCE_S: Final = 5.0
_FIRST_BACKOFF_S: Final = 0.2
_LAST_BACKOFF_S: Final = 10.0
_STEADY_S: Final = 30.0
"""A role that ran this long begins again with the first backoff."""

_log = structlog.get_logger(__name__)


class AlreadyRunning(InvalidInput):
    """Another `kefu serve` has this data directory."""

    code = "already-running"


class SupervisorStats:
    """Plain numbers that a metrics collector reads; a part is a role or `postgres`."""

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        self.running: dict[str, bool] = {}


Publish = Callable[[SupervisorStats], AbstractContextManager[None]]
"""Answers scrapes of the numbers while its context is open."""


class _Role:
    """One child process and when to start it again."""

    def __init__(self, role: str, name: str, environment: dict[str, str], pipe: int) -> None:
        self.role = role
        self.name = name
        """Of the process: the role's, and a number where there are several."""
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
            [sys.executable, "-m", "interfaces.cli.main", "serve", "--role", self.role],
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

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.running:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for its end, and at a time of the monotonic clock make it end."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            # Nothing is lost: what was acknowledged is on disk.
            _log.error("supervisor.role_killed", ended=self.name)
            self.process.kill()
            self.process.wait()


def serve(
    settings: Settings, database: Database | None, publish: Publish, say: Callable[[str], None]
) -> int:
    """Run all roles until SIGTERM, SIGINT or SIGHUP.

    Args:
        database: The embedded Postgres; None: the settings name a server.
        publish: Is called once the data directory is ours.
        say: Prints a line for whoever started it.

    Returns:
        Exit status: 0 after a signal, 2 if a role can't run at all.

    Raises:
        AlreadyRunning: another `kefu serve` has this data directory, or somebody has the port.
        Unavailable: the embedded Postgres does not start.
    """
    lock, killed_before = claim(settings.run_dir)
    try:
        _require_free_port(settings, _PATIENCE_S if killed_before else 0.0)
        stats = SupervisorStats()
        with StopSignals() as signals, publish(stats):
            watch = DatabaseWatch(database, signals, stats.restarts) if database else None
            return _run(settings, watch, stats, signals, say)
    finally:
        os.ftruncate(lock, 0)
        os.close(lock)


def _run(
    settings: Settings,
    database: DatabaseWatch | None,
    stats: SupervisorStats,
    signals: StopSignals,
    say: Callable[[str], None],
) -> int:
    read_end, write_end = os.pipe()
    roles = {role.name: role for role in _roles(settings, read_end)}
    try:
        if "core" in roles:
            roles["core"].start()  # it needs no database
        if database is not None:
            database.start()
        for role in roles.values():
            if role.process is None:
                role.start()
        readiness = Readiness(settings, say)
        while not signals.seen:
            for role in roles.values():
                if (status := role.tend()) is not None:
                    return status
                stats.restarts[role.name] = role.restarts
                stats.running[role.name] = role.running
            if database is not None:
                stats.running[PART] = database.running
                database.tend()
            readiness.look()
            time.sleep(0.1)
    except Interrupted:
        pass  # a signal, while Postgres was being started
    finally:
        for names in _STOP_ORDER:
            started = time.monotonic()
            ending = [role for role in roles.values() if role.role in names]
            for role in ending:
                role.ask_to_end()
            for role in ending:
                role.end(started + _STOP_S[role.role])
        if database is not None:
            database.stop()
        os.close(write_end)
        os.close(read_end)
    return 0


def _roles(settings: Settings, pipe: int) -> Iterator[_Role]:
    """All processes. With gateways, they have the public port, and the web role a Unix socket.
    On another machine than the log, gateways are all there is.
    """
    gateways = settings.gateway_count
    for role in ROLES if settings.link_url is None else ("gateway",):
        if role == "link" and settings.link_listen is None:
            continue
        environment = _environment(settings, role)
        if gateways:
            environment["KEFU_WEB_SOCKET"] = str(settings.web_socket_path)
        if role != "gateway":
            yield _Role(role, role, environment, pipe)
            continue
        for number in range(1, gateways + 1):
            own = environment | {GATEWAY_NUMBER: str(number)}
            yield _Role(role, f"{role}-{number}", own, pipe)


def _environment(settings: Settings, role: str) -> dict[str, str]:
    environment = {**os.environ, **settings.environment()}
    if role != "core":
        environment.pop("KEFU_ADMIN_PASSWORD", None)  # whoever does not need it, does not get it
    return environment


def _require_free_port(settings: Settings, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while (error := _bind_error(settings.host, settings.port)) is not None:
        if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
            time.sleep(0.05)  # it may be a role that is on its way out
            continue
        raise AlreadyRunning(
            f"can't listen on {settings.host}:{settings.port}: {error.strerror}; "
            "give another --host or --port."
        )


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def claim(directory: Path) -> tuple[int, bool]:
    """Become the only one who runs a data directory, given its `run` directory.

    Returns:
        A descriptor that holds the lock until it is closed, and whether its last holder was killed.

    Raises:
        AlreadyRunning: a `kefu serve` has it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise AlreadyRunning(
            f"{directory.parent} is served by process {pid or 'unknown'}; "
            "stop it, or give another --data-dir."
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd, bool(pid)
