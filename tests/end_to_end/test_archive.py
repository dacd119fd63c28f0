"""The whole system with an archive: nobody who reads sees that segments have moved."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Kefu, running, wait_until

API = "/api/v1"
PAGE = Path(__file__).parents[2] / "docs/howto/archive.md"
SHOWN = re.findall(r"```sh\n# test: archive\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def archiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    folder = tmp_path_factory.mktemp("archiving")
    (folder / "store").mkdir()
    with running(
        folder / "data",
        KEFU_ARCHIVE_URL=(folder / "store").as_uri(),
        KEFU_SEGMENT_AGE_S="0.2",
        KEFU_RETAIN_SEGMENTS="1",
        KEFU_RETAIN_HOURS="0.000001",
    ) as system:
        yield system


def feed(kefu: Kefu, token: str) -> list[Any]:
    """Everything, as an auditor reads it."""
    events: list[Any] = []
    while True:
        after = events[-1]["position"] if events else 0
        status, page = kefu.get(f"{API}/events?after={after}&limit=200", token)
        assert status == 200, page
        if not page:
            return events
        events += page


def test_readers_see_no_difference_when_segments_are_only_in_the_archive(archiving: Kefu) -> None:
    kefu = archiving
    auditor = kefu.agent("auditor")[1]
    session = kefu.visitor(name="Archive")
    path = f"{API}/conversations/{session['conversation_id']}/messages"

    def sealed() -> int:
        info = json.loads(kefu.cli("log", "info", "--json").stdout)
        return sum(row["sealed"] for row in info["segments"])

    sent = 0
    while sealed() < 4:
        sent += 1
        kefu.post(path, {"content": f"message {sent}"}, session["token"])
    before, exported = feed(kefu, auditor), kefu.cli("log", "export").stdout

    plan = json.loads(kefu.cli("log", "archive", "--dry-run", "--json").stdout)
    assert plan["expiry"]["dry_run"]  # the core may have had its round by now

    def moved() -> bool:
        """By us or by the core, which may be at it; the views must have seen it all first."""
        done = kefu.cli("log", "archive", "--json", check=False)
        assert done.returncode == 0 or "Another process is archiving" in done.stderr
        return done.returncode == 0 and json.loads(done.stdout)["remote_segments"] >= 3

    wait_until(moved, 60, "segments are only in the archive")
    assert feed(kefu, auditor)[: len(before)] == before
    assert kefu.cli("log", "export").stdout.startswith(exported)
    report = json.loads(kefu.cli("log", "verify", "--json").stdout)
    assert report["ok"]
    assert len(report["remote"]) >= 3
    said = kefu.cli("log", "verify").stdout
    assert "from the archive" in said
    assert "archived" in kefu.cli("log", "info").stdout
    rebuilt = json.loads(kefu.cli("views", "rebuild", "--json").stdout)
    assert rebuilt["rows"]["messages"] == sent
    assert "only in file://" in kefu.cli("log", "archive").stdout


def test_after_a_restart_old_conversations_are_there(archiving: Kefu) -> None:
    session = archiving.visitor(name="Restart")
    path = f"{API}/conversations/{session['conversation_id']}/messages"
    archiving.post(path, {"content": "before"}, session["token"])
    archiving.stop()
    archiving.start()
    archiving.post(path, {"content": "after"}, session["token"])
    assert archiving.get("/readyz")[1]["archive"] in ("ok", "retention-blocked")
    _, metrics = archiving.get("/metrics")
    assert 'kefu_log_segments{place="remote"}' in metrics


@pytest.mark.parametrize("command", "".join(SHOWN).splitlines())
def test_the_commands_of_the_how_to_work(archiving: Kefu, command: str) -> None:
    def done() -> bool:
        found = archiving.cli(*command.split()[1:], check=False)
        assert found.returncode == 0 or "Another process is archiving" in found.stderr, found.stderr
        return found.returncode == 0

    wait_until(done, 60, command)


def test_without_an_archive_the_command_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "data" / "log").mkdir(parents=True)
    done = Kefu(tmp_path / "data").cli("log", "archive", check=False)
    assert done.returncode == 2
    assert "KEFU_ARCHIVE_URL" in done.stderr


def test_an_archive_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    from tests.infrastructure.eventlog.archive.conftest import fill

    fill(tmp_path / "data" / "log", 2)
    url = (tmp_path / "missing").as_uri()
    kefu = Kefu(tmp_path / "data", environment={"KEFU_ARCHIVE_URL": url})
    done = kefu.cli("log", "archive", check=False)
    assert done.returncode == 1
    assert url in done.stderr
    assert "Traceback" not in done.stderr
