"""`kefu audit replay` and `trace`, and `kefu views verify`: with a running system and without."""

import json
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from interfaces.bootstrap.postgres import database_url
from interfaces.settings import load
from tests.interfaces.http.test_audit import talk
from tests.serving import Kefu


@pytest.fixture(scope="module")
def told(kefu: Kefu) -> dict[str, Any]:
    return talk(kefu)


def replay(kefu: Kefu, id: str, until: Any) -> dict[str, Any]:
    arguments = ("audit", "replay", "--conversation", id, "--until", str(until), "--json")
    found: dict[str, Any] = json.loads(kefu.cli(*arguments).stdout)
    return found


def test_a_replay_shows_the_conversation_as_it_was_and_the_steps_that_led_there(
    kefu: Kefu, told: dict[str, Any]
) -> None:
    at = told["reply"]["position"]
    then = replay(kefu, told["id"], at)
    assert [m["content"] for m in then["messages"]] == ["tpyo", "oops, wrong person"]
    assert then["steps"][-1]["position"] == at
    assert then["steps"][-1]["event"]["payload"]["content"] == "oops, wrong person"
    assert replay(kefu, told["id"], then["time"])["messages"] == then["messages"]
    _, row = kefu.get(f"{told['path']}?as_of={at}", kefu.login())
    assert then["conversation"] == row
    now = replay(kefu, told["id"], 10**12)
    assert [m["content"] for m in now["messages"]] == ["typo", ""]
    text = kefu.cli("audit", "replay", "--conversation", told["id"], "--until", str(at)).stdout
    assert "assignee 韩梅梅" in text
    assert "韩梅梅 (agent): oops, wrong person" in text
    assert "李雷 (visitor) sent message 1: tpyo" in text


def test_without_a_running_core_the_files_alone_tell_the_same(
    kefu: Kefu, told: dict[str, Any], tmp_path: Path
) -> None:
    for part in ("log", "keys"):
        shutil.copytree(kefu.data_dir / part, tmp_path / "copy" / part)
    copy = Kefu(tmp_path / "copy")
    at = told["reply"]["position"]
    assert replay(copy, told["id"], at) == replay(kefu, told["id"], at)
    arguments = ("audit", "trace", told["first"]["message_id"], "--json")
    online, offline = (json.loads(one.cli(*arguments).stdout) for one in (kefu, copy))
    known = [s for s in online["stations"] if s["station"] != "projected"]
    assert [s for s in offline["stations"] if s["station"] != "projected"] == known
    (projected,) = [s for s in offline["stations"] if s["station"] == "projected"]
    assert (projected["state"], projected["gap"]["code"]) == ("unknown", "views-unavailable")


def test_a_trace_is_a_line_for_each_station(kefu: Kefu, told: dict[str, Any]) -> None:
    lines = kefu.cli("audit", "trace", told["first"]["message_id"]).stdout.splitlines()
    stations = [line.split()[0] for line in lines[1:]]
    assert stations == [
        *("received", "decided", "on_disk", "projected", "pushed", "delivered", "read", "mirrored")
    ]
    assert lines[-1].split(maxsplit=1)[1] == "not_configured   no mirror is configured"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("audit", "replay", "--conversation", "none"), 1),
        (("audit", "replay", "--conversation", "none", "--until", "yesterday"), 2),
        (("audit", "trace", "none"), 1),
    ],
)
def test_what_is_not_there_or_no_moment_is_one_clear_message(
    kefu: Kefu, arguments: tuple[str, ...], status: int
) -> None:
    done = kefu.cli(*arguments, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("kefu: ")


def test_views_verify_finds_equal_views_and_names_what_was_manipulated(
    kefu: Kefu, told: dict[str, Any]
) -> None:
    report = json.loads(kefu.cli("views", "verify", "--json").stdout)
    assert report["ok"]
    assert report["tables"]["messages"]["rows"] >= 2
    url = database_url(load({}, data_dir=kefu.data_dir))
    with psycopg.connect(url, autocommit=True) as connection:
        change = "UPDATE kefu.messages SET content = %s WHERE message_id = %s"
        connection.execute(change, ("manipulated", told["first"]["message_id"]))
        done = kefu.cli("views", "verify", check=False)
        connection.execute(change, ("typo", told["first"]["message_id"]))
    assert done.returncode == 1
    assert f"messages conversation_id {told['id']}, seq 1: changed (content)" in done.stdout
    assert kefu.cli("views", "verify").returncode == 0
