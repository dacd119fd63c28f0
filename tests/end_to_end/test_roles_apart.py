"""Each role as a service of its own, as deploy/compose.yaml runs them: any order, any restart."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.end_to_end.people import API, fresh
from tests.serving import Kefu, wait_until

ROOT = Path(__file__).parents[2]
PROBES = re.findall(
    r'test: \[CMD, python, -c, "(.+)"\]', (ROOT / "deploy/compose.yaml").read_text()
)


class Services:
    """Processes of single roles over one data directory, without a supervisor."""

    def __init__(self, kefu: Kefu) -> None:
        self.kefu = kefu
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        with self.kefu.log_file.open("ab") as output:
            self.processes[role] = subprocess.Popen(
                self.kefu.command("serve", "--role", role),
                env=self.kefu.full_environment(),
                stdout=output,
                stderr=output,
            )

    def stop(self, role: str) -> int:
        process = self.processes.pop(role)
        process.terminate()
        return process.wait(10)

    def wait_ready(self) -> None:
        def ready() -> bool:
            for role, process in self.processes.items():
                assert process.poll() is None, (role, self.kefu.output())
            return self.kefu.get("/readyz")[0] == 200

        wait_until(ready, 30, "all roles ready")


@pytest.fixture
def services(short_path: Path, database_url: str) -> Iterator[Services]:
    url = "postgresql:///?" + urlencode(conninfo_to_dict(database_url))
    socket = str(short_path / "data" / "run" / "web.sock")
    environment = {"KEFU_DATABASE_URL": url, "KEFU_WEB_SOCKET": socket}
    found = Services(Kefu(short_path / "data", environment=environment))
    yield found
    for process in found.processes.values():
        process.kill()
        process.wait()


def _reads(kefu: Kefu, path: str, token: str, receipt: dict[str, Any]) -> bool:
    return kefu.get(path, token, headers=fresh(receipt))[0] == 200


def test_roles_start_in_any_order_and_each_can_be_restarted_alone(services: Services) -> None:
    kefu = services.kefu
    for role in ("gateway", "web", "automation", "projector", "core"):
        services.start(role)
    services.wait_ready()
    session = kefu.visitor(name="Compose Cai")
    path, token = f"{API}/conversations/{session['conversation_id']}/messages", session["token"]
    for turn, role in enumerate(("core", "projector", "web", "automation", "gateway"), start=1):
        receipt = kefu.post(path, {"content": f"before {role}"}, token)
        assert receipt["seq"] == turn
        assert services.stop(role) == 0
        services.start(role)
        services.wait_ready()
        # The web finds the core again by itself; until then it says so and the client repeats.
        wait_until(partial(_reads, kefu, path, token, receipt), 20, "reads work")
    _, found = kefu.get(path, token)
    assert [message["seq"] for message in found["data"]] == [1, 2, 3, 4, 5]


def test_the_probes_of_the_compose_file_tell_a_running_service_from_one_that_is_not(
    services: Services,
) -> None:
    kefu = services.kefu

    def healthy(probe: str) -> bool:
        code = probe.replace("/data", str(kefu.data_dir)).replace(":8000", f":{kefu.port}")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        return done.returncode == 0

    assert len(PROBES) == 3
    assert not any(healthy(probe) for probe in PROBES)
    for role in ("core", "web", "gateway", "projector"):
        services.start(role)
    services.wait_ready()
    assert [healthy(probe) for probe in PROBES] == [True, True, True]


def test_a_second_core_on_the_same_log_is_refused_with_the_reason(services: Services) -> None:
    services.start("core")
    socket = services.kefu.data_dir / "run" / "core.sock"
    wait_until(socket.exists, 20, "the core listens")
    done = services.kefu.cli("serve", "--role", "core", check=False)
    assert done.returncode == 1  # not 2: the other core may be on its way out, so try again later
    assert "Traceback" not in done.stderr
    assert str(services.kefu.data_dir) in done.stderr
