"""The command line: readable for people, JSON for machines, 0 good, 1 failed, 2 wrong use."""

import json
import shutil
from pathlib import Path

import pytest

from tests.serving import Kefu


def test_log_info_tail_and_export_agree(kefu: Kefu) -> None:
    session = kefu.visitor(name="Cli")
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    sent = kefu.post(path, {"content": "from the log"}, session["token"])
    info = json.loads(kefu.cli("log", "info", "--json").stdout)
    assert info["durable_position"] >= sent["position"]
    exported = [
        json.loads(line)
        for line in kefu.cli(
            "log", "export", "--after", str(sent["position"] - 1)
        ).stdout.splitlines()
    ]
    assert exported[0]["position"] == sent["position"]
    assert exported[0]["payload"]["content"] == "from the log"
    tail = kefu.cli("log", "tail", "-n", "5").stdout
    assert "message.sent.v1" in tail
    assert "position" in kefu.cli("log", "info").stdout


def test_log_tail_and_export_pass_only_what_the_filters_name(kefu: Kefu) -> None:
    session = kefu.visitor(name="Filter")
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    for number in range(3):
        kefu.post(path, {"content": f"filtered {number}"}, session["token"])
    filters = ("--types", "message.*,contact.*", "--categories", "message")
    tail = kefu.cli("log", "tail", "-n", "2", "--json", *filters).stdout.splitlines()
    contents = [json.loads(line)["payload"]["content"] for line in tail]
    assert contents == ["filtered 1", "filtered 2"]
    exported = kefu.cli("log", "export", *filters).stdout.splitlines()
    assert exported[-2:] == tail
    assert {json.loads(line)["stream"].split("-")[0] for line in exported} == {"message"}
    assert kefu.cli("log", "export", "--types", "no.such.v1").stdout == ""
    moment = json.loads(exported[-1])["time"]
    since = kefu.cli("log", "export", "--since", moment).stdout.splitlines()
    assert json.loads(since[0])["time"] == moment
    assert kefu.cli("log", "export", "--since", "yesterday", check=False).returncode == 2


def test_an_export_is_an_event_and_without_a_core_it_goes_on(kefu: Kefu, tmp_path: Path) -> None:
    kefu.cli("log", "export", "--types", "contact.*")
    exported = kefu.cli("log", "export", "--types", "audit.*").stdout.splitlines()
    earlier, this = (json.loads(line) for line in exported[-2:])
    assert earlier["payload"]["what"] == "log/export"
    assert earlier["payload"]["filters"] == {"after": "0", "types": "contact.*"}
    assert earlier["metadata"]["actorKind"] == "system"
    assert this["payload"]["filters"]["types"] == "audit.*"
    shutil.copytree(kefu.data_dir / "log", tmp_path / "copy" / "log")
    copied = Kefu(tmp_path / "copy").cli("log", "export", "--types", "audit.*").stdout
    assert copied.splitlines() == exported


def test_log_verify_is_good_on_a_log_in_use(kefu: Kefu) -> None:
    report = json.loads(kefu.cli("log", "verify", "--json").stdout)
    assert report["ok"]
    assert report["events"] > 0


def test_log_verify_fails_on_damage(tmp_path: Path) -> None:
    from infrastructure.eventlog.store import EventLog
    from tests.infrastructure.eventlog.conftest import batch

    with EventLog.open(tmp_path / "data/log") as log:
        for number in range(3):
            log.append_sync([batch("s", b"%d" % number)])
    (segment,) = (tmp_path / "data/log").glob("*.open")
    damaged = bytearray(segment.read_bytes())
    damaged[120] ^= 1
    segment.write_bytes(damaged)
    done = Kefu(tmp_path / "data").cli("log", "verify", "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["segment"] == segment.name
    target = tmp_path / "saved"
    done = Kefu(tmp_path / "data").cli("log", "salvage", str(target), "--json", check=False)
    assert (done.returncode, json.loads(done.stdout)["copied_events"]) == (1, 2)


def test_views_status_and_rebuild(kefu: Kefu) -> None:
    before = json.loads(kefu.cli("views", "status", "--json").stdout)
    after = json.loads(kefu.cli("views", "rebuild", "--json").stdout)
    assert after["schema"] != before["schema"]
    assert after["position"] >= before["position"]
    assert kefu.get("/readyz")[0] == 200


def test_admin_makes_agents_and_keys_through_the_running_core(kefu: Kefu) -> None:
    made = json.loads(
        kefu.cli(
            *("admin", "create-agent", "--email", "cli@shop.example", "--name", "Cli"),
            *("--role", "auditor", "--json"),
        ).stdout
    )
    body = {"email": "cli@shop.example", "password": made["one_time_password"]}
    answer = kefu.post("/api/v1/auth/login", body)
    assert (answer["must_change_password"], answer["agent"]["role"]) == (True, "auditor")
    reset = json.loads(
        kefu.cli("admin", "reset-password", "--email", "cli@shop.example", "--json").stdout
    )
    kefu.login("cli@shop.example", reset["one_time_password"])
    key = json.loads(
        kefu.cli(
            "admin", "create-api-key", "--name", "erp", "--scope", "events:read", "--json"
        ).stdout
    )
    assert kefu.get("/api/v1/events", key["token"])[0] == 200


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["log", "dance"], 2),
        (["serve", "--role", "dancer"], 2),
        (["serve", "--port", "0"], 2),
        (["admin", "create-api-key", "--name", "x", "--scope", "everything"], 2),
    ],
)
def test_wrong_use_is_one_clear_message_and_status_2(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    done = Kefu(tmp_path / "data").cli(*arguments, check=False)
    assert done.returncode == status
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_admin_without_a_running_core_says_so(tmp_path: Path) -> None:
    done = Kefu(tmp_path / "data").cli(
        "admin", "create-agent", "--email", "x@y.io", "--name", "X", check=False
    )
    assert done.returncode == 1
    assert "not reachable" in done.stderr
