"""A gateway on another machine: its own data directory, no log, everything over the link."""

import contextlib
import dataclasses
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Authority
from tests.faults.roles import Roles, running_roles
from tests.serving import Kefu, free_port, wait_until
from tests.valkey_cluster import ValkeyCluster

ORDER = ("core", "projector", "web", "gateway", "link")


@dataclass
class Remote(Kefu):
    """The remote gateway as a client sees it."""

    home: Kefu = dataclasses.field(default_factory=lambda: Kefu(Path()))

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Commands of the CLI are for the machine of the log."""
        return self.home.cli(*arguments, check=check)

    def begin(self) -> None:
        """Start it; it need not be ready."""
        with self.log_file.open("ab") as output:
            self.process = subprocess.Popen(
                self.command("serve", "--role", "gateway"),
                env=self.full_environment(),
                stdout=output,
                stderr=output,
            )

    def ensure(self) -> None:
        """Ready, also where a test killed it."""
        if self.process is None or self.process.poll() is not None:
            self.begin()
        self.wait_ready()

    def kill_and_begin(self) -> None:
        """SIGKILL, and start it again."""
        self.kill()
        self.begin()


@dataclass
class Machines:
    """Two of them."""

    home: Kefu
    """With the log, and a gateway of its own."""
    roles: Roles
    remote: Remote

    def ensure(self) -> None:
        """All is connected, also where a test killed the remote gateway."""
        self.remote.ensure()
        wait_until(lambda: self.metric("kefu_link_connected") == 1, 30, "linked")
        wait_until(lambda: self.metric("kefu_live_bus_connected") == 3, 30, "the bus is connected")

    def metric(self, name: str) -> float | None:
        """Of the remote gateway, as the machine of the log shows it."""
        page = str(self.home.get("/metrics")[1])
        found = [
            line.split()[-1]
            for line in page.splitlines()
            if line.startswith(f"{name}{{") and "@" in line
        ]
        return float(found[0]) if found else None


@contextlib.contextmanager
def two_machines(
    directory: Path, database_url: str, cluster: ValkeyCluster, **environment: str
) -> Iterator[Machines]:
    """Both ready, and what passes between them connected."""
    authority, port = Authority(directory / "tls"), free_port()
    common = {"KEFU_CLUSTER_URL": cluster.url, **environment}
    listening = {
        "KEFU_LINK_LISTEN": f"127.0.0.1:{port}",
        **authority.settings("link", server=True),
    }
    with running_roles(directory, database_url, ORDER, **common, **listening) as (home, roles):
        dialing = {
            "KEFU_LINK_URL": f"127.0.0.1:{port}",
            **authority.settings("remote", server=False),
            "KEFU_DATABASE_URL": home.environment["KEFU_DATABASE_URL"],
            "KEFU_GATEWAY_NUMBER": "7",
        }
        remote = Remote(directory / "remote", environment={**common, **dialing}, home=home)
        machines = Machines(home, roles, remote)
        try:
            machines.ensure()
            yield machines
        finally:
            if remote.process is not None:
                remote.process.send_signal(signal.SIGTERM)
                remote.process.wait(15)
