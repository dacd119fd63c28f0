"""Roles live and die with their supervisor; nothing is left behind and nothing runs twice."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Kefu, children_of, running, stop_postgres, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    with running(tmp_path_factory.mktemp("supervision") / "data") as kefu:
        yield kefu


@pytest.fixture
def system(lasting: Kefu) -> Kefu:
    """One for all tests, each of which leaves it whole."""
    lasting.wait_ready()
    return lasting


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("role", ["core", "web", "projector", "automation"])
def test_a_killed_role_is_started_again(system: Kefu, role: str) -> None:
    before = system.roles[role]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: system.roles.get(role, before) != before, 15, f"{role} is back")
    system.wait_ready()
    session = system.visitor()
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    wait_until(
        lambda: system.request("POST", path, {"content": "hi"}, session["token"])[0] == 201,
        20,
        "messages are taken",
    )


def test_a_killed_supervisor_takes_its_roles_along_and_postgres_is_used_again(
    system: Kefu,
) -> None:
    session = system.visitor()
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    sent = system.post(path, {"content": "before the kill"}, session["token"])
    roles = system.roles
    postgres = int((system.data_dir / "postgres/postmaster.pid").read_text().splitlines()[0])
    system.kill()
    wait_until(lambda: not any(map(alive, roles.values())), 10, "all roles are gone")
    assert alive(postgres)
    system.start()
    assert (
        int((system.data_dir / "postgres/postmaster.pid").read_text().splitlines()[0]) == postgres
    )
    headers = {"Kefu-Min-Position": str(sent["position"])}
    status, body = system.get(path, session["token"], headers=headers)
    assert (status, [m["content"] for m in body["data"]]) == (200, ["before the kill"])


def test_a_second_serve_on_the_same_directory_is_refused(system: Kefu) -> None:
    assert system.process is not None
    second = Kefu(system.data_dir)
    done = second.cli("serve", "--port", str(second.port), check=False)
    assert done.returncode == 2
    assert str(system.process.pid) in done.stderr
    assert "Traceback" not in done.stderr
    assert system.get("/readyz")[0] == 200


def test_a_port_in_use_is_refused(system: Kefu, tmp_path: Path) -> None:
    done = Kefu(tmp_path / "other", port=system.port).cli("serve", check=False)
    assert done.returncode == 2
    assert str(system.port) in done.stderr


def test_sigterm_stops_everything_within_10_s(tmp_path: Path) -> None:
    kefu = Kefu(tmp_path / "data").start()
    assert kefu.process is not None
    roles = kefu.roles
    postgres = int((kefu.data_dir / "postgres/postmaster.pid").read_text().splitlines()[0])
    started = time.monotonic()
    kefu.process.send_signal(signal.SIGTERM)
    assert kefu.process.wait(15) == 0
    assert time.monotonic() - started < 10
    assert not any(map(alive, [*roles.values(), postgres]))
    assert not children_of(kefu.process.pid)
    stop_postgres(kefu.data_dir)
