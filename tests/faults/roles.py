"""`kefu serve --role NAME` for each role, as compose runs them, over a database of the test's."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from psycopg import conninfo

from tests.serving import READY_S, Kefu, wait_until

_STOP_S = 30.0


class Roles:
    """A process for each role; one that a test kills is started again at once."""

    def __init__(self, kefu: Kefu, order: Sequence[str]) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._kefu = kefu
        self._order = order
        self._output = kefu.log_file.open("ab")
        self._environment = kefu.full_environment()
        if "gateway" in order:  # it has the port, and the web role this
            self._environment["KEFU_WEB_SOCKET"] = str(kefu.data_dir.with_name("web.sock"))

    def start(self) -> None:
        """All roles, in the order in which they need each other."""
        for role in self._order:
            self._start(role)
        wait_until(self._ready, READY_S, "kefu ready")

    def kill(self, role: str) -> None:
        """SIGKILL, and start it again as soon as it is dead."""
        self.end(role)
        self.begin(role)

    def end(self, role: str) -> None:
        """SIGKILL."""
        process = self.processes[role]
        assert process.poll() is None, f"{role} ended by itself: {self._kefu.output()[-2000:]}"
        process.send_signal(signal.SIGKILL)
        process.wait()

    def begin(self, role: str) -> None:
        """Start it again."""
        self._start(role)

    def stop(self) -> None:
        """In reverse order."""
        for role in reversed(self._order):
            process = self.processes.get(role)
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._output.close()

    def _start(self, role: str) -> None:
        self.processes[role] = subprocess.Popen(
            self._kefu.command("serve", "--role", role),
            env=self._environment,
            stdout=self._output,
            stderr=self._output,
        )

    def _ready(self) -> bool:
        for role, process in self.processes.items():
            assert process.poll() is None, f"{role} ended: {self._kefu.output()[-2000:]}"
        return self._kefu.get("/readyz")[0] == 200


def url_of(database: str) -> str:
    """A connection string in the form of a URL, the only one that the setting takes."""
    parts = conninfo.conninfo_to_dict(database)
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={quote(str(parts['host']), '')}"


@contextlib.contextmanager
def running_roles(
    directory: Path, database_url: str, order: Sequence[str], **environment: str
) -> Iterator[tuple[Kefu, Roles]]:
    """These roles, ready."""
    environment = {"KEFU_DATABASE_URL": url_of(database_url), **environment}
    kefu = Kefu(directory / "data", environment=environment)
    roles = Roles(kefu, order)
    try:
        roles.start()
        yield kefu, roles
    finally:
        roles.stop()
