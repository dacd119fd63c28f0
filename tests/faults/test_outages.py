"""What goes on while a part of the machine is down."""

import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Kefu, running, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    with running(tmp_path_factory.mktemp("outages") / "data") as kefu:
        yield kefu


@pytest.fixture
def system(lasting: Kefu) -> Kefu:
    """One for all tests, each of which leaves it whole."""
    lasting.wait_ready()
    return lasting


def postgres_pid(kefu: Kefu) -> int:
    return int((kefu.data_dir / "postgres/postmaster.pid").read_text().splitlines()[0])


def backends(postmaster: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == postmaster:
            found.append(int(stat.parent.name))
    return found


def test_with_postgres_down_messages_are_taken_and_reads_say_when_to_come_back(
    system: Kefu,
) -> None:
    session = system.visitor(name="Outage")
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    admin = system.login()
    system.post(path, {"content": "before"}, session["token"])
    database = [postgres_pid(system), *backends(postgres_pid(system))]
    for pid in database:
        os.kill(pid, signal.SIGSTOP)  # a database that hangs is worse than one that is gone
    try:
        for number in range(5):
            sent = system.post(path, {"content": f"during {number}"}, session["token"])
        assert sent["seq"] == 6
        status, body, headers = system.request("GET", path, None, session["token"], timeout=30)
        assert (status, body["code"]) == (503, "unavailable")
        assert int(headers["retry-after"]) > 0
        status, body = system.get("/readyz", timeout=30)
        assert (status, body["core"], body["views"]) == (503, "ok", "unavailable")
        resolve = f"/api/v1/conversations/{session['conversation_id']}/toggle_status"
        assert system.post(resolve, {"status": "resolved"}, admin)["status"] == "resolved"
    finally:
        for pid in database:
            os.kill(pid, signal.SIGCONT)

    def caught_up() -> bool:
        status, body = system.get(path, session["token"])
        return status == 200 and len(body["data"]) == 6

    wait_until(caught_up, 30, "the views catch up")


def test_a_killed_postgres_is_started_again_and_the_views_catch_up(system: Kefu) -> None:
    session = system.visitor()
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    before = postgres_pid(system)
    os.kill(before, signal.SIGKILL)
    sent = system.post(path, {"content": "while it is away"}, session["token"])

    def seen() -> bool:
        headers = {"Kefu-Min-Position": str(sent["position"])}
        return system.get(path, session["token"], headers=headers, timeout=30)[0] == 200

    wait_until(seen, 60, "the views are back")
    assert postgres_pid(system) != before


def test_a_disk_that_takes_no_more_acknowledges_nothing_and_stays_readable(system: Kefu) -> None:
    """The core's files may not grow: what a full disk does, without one."""
    session = system.visitor()
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    kept = system.post(path, {"content": "kept"}, session["token"])
    limit = max(p.stat().st_size for p in (system.data_dir / "log").glob("*.open"))
    core = system.roles["core"]
    resource.prlimit(core, resource.RLIMIT_FSIZE, (limit, limit))
    # As many bytes as a message can have, to get there soon.
    big = json.dumps({"content": "满" * 16_000}, ensure_ascii=False).encode()
    statuses = set()
    codes = set()
    acknowledged = 1
    for _ in range(2_000):
        status, body, _ = system.request("POST", path, big, session["token"])
        statuses.add(status)
        if status == 201:
            acknowledged += 1
            assert body["seq"] == acknowledged
            continue
        codes.add(body["code"])
        break
    assert statuses <= {201, 503}
    assert codes == {"store-read-only"}
    assert "File too large" in body["detail"]
    status, body = system.get(
        path, session["token"], headers={"Kefu-Min-Position": str(kept["position"])}
    )
    assert (status, body["data"][0]["content"]) == (200, "kept")
    _, metrics = system.get("/metrics")
    assert "kefu_log_read_only 1.0" in metrics
    system.stop()
    system.start()
    assert system.post(path, {"content": "after"}, session["token"])["seq"] == acknowledged + 1
