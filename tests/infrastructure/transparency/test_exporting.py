"""An archive proves itself to a script that knows nothing of kefu, and no other archive does."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog.reader import LogReader
from infrastructure.transparency.errors import AuditContradiction, NothingToExport
from infrastructure.transparency.exporting import ExportReport, Wanted, export
from infrastructure.transparency.proving import published
from tests.infrastructure.transparency.conftest import Tree

EVENTS = 300


@pytest.fixture
def events(tree: Tree) -> list[RecordedEvent]:
    tree.append(EVENTS)
    tree.build()
    reader = LogReader(tree.files.log)
    try:
        return reader.read(0, EVENTS)
    finally:
        reader.close()


def make(tree: Tree, path: Path, events: list[RecordedEvent], wanted: Wanted) -> ExportReport:
    verifier = tree.signer.verifier
    signed, note = published(tree.files, verifier)
    return export(path, events, wanted, signed, note, verifier, tree.files.tree)


def check(archive: Path, vkey: str) -> subprocess.CompletedProcess[str]:
    """The archive's own script, isolated, in a folder with nothing else."""
    folder = archive.parent / "auditor"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive) as opened:
        (folder / "verify.py").write_bytes(opened.read("verify.py"))
    command = [sys.executable, "-I", "verify.py", str(archive), vkey]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_all_of_it_is_proven_to_a_script_without_kefu(
    tree: Tree, events: list[RecordedEvent], tmp_path: Path
) -> None:
    path = tmp_path / "all.zip"
    report = make(tree, path, events, Wanted(1, EVENTS))
    assert (report.events, report.size) == (EVENTS, EVENTS)
    done = check(path, tree.signer.verifier.vkey)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{EVENTS} events are in the log of {EVENTS} events")
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("events.jsonl").splitlines()
    assert [json.loads(line)["payload"].encode() for line in lines] == [e.payload for e in events]
    assert not path.with_name("all.zip.new").exists()


@pytest.mark.parametrize(("first", "last"), [(1, 1), (EVENTS, EVENTS), (255, 258), (100, 277)])
def test_a_range_is_proven_and_holds_nothing_else(
    tree: Tree, events: list[RecordedEvent], tmp_path: Path, first: int, last: int
) -> None:
    path = tmp_path / "range.zip"
    assert make(tree, path, events[first - 1 :], Wanted(first, last)).events == last - first + 1
    assert check(path, tree.signer.verifier.vkey).returncode == 0


def test_a_conversation_is_its_stream_and_what_names_it(
    tree: Tree, events: list[RecordedEvent], tmp_path: Path
) -> None:
    path = tmp_path / "one.zip"
    report = make(tree, path, events, Wanted(1, EVENTS, conversation_id="1"))
    assert report.events == sum(event.stream == "conversation-1" for event in events)
    assert check(path, tree.signer.verifier.vkey).returncode == 0


def test_with_another_key_it_proves_nothing(
    tree: Tree, events: list[RecordedEvent], tmp_path: Path
) -> None:
    path = tmp_path / "all.zip"
    make(tree, path, events, Wanted(1, EVENTS))
    name, id, key = tree.signer.verifier.vkey.split("+", 2)
    other = "A" if key[10] != "A" else "B"
    assert check(path, f"{name}+{id}+{key[:10]}{other}{key[11:]}").returncode != 0


def _event(change: Callable[[dict[str, Any]], None]) -> Callable[[str, bytes], bytes]:
    def changed(name: str, data: bytes) -> bytes:
        if name != "events.jsonl":
            return data
        lines = data.splitlines(keepends=True)
        event = json.loads(lines[7])
        change(event)
        lines[7] = json.dumps(event).encode() + b"\n"
        return b"".join(lines)

    return changed


def _checkpoint(name: str, data: bytes) -> bytes:
    return data.replace(b"\n300\n", b"\n301\n") if name == "checkpoint" else data


@pytest.mark.parametrize(
    "change",
    [
        _event(lambda event: event.update(payload=event["payload"] + " ")),
        _event(lambda event: event.update(metadata='{"actor_id":"somebody else"}')),
        _event(lambda event: event.update(position=event["position"] + 1)),
        _event(lambda event: event.update(version=event["version"] + 1)),
        _event(lambda event: event.update(recorded_us=event["recorded_us"] + 1)),
        _event(lambda event: event.update(type="message.edited.v1")),
        _event(lambda event: event.update(stream="message-999")),
        _event(lambda event: event.update(leaf=event["leaf"][:-4] + "AAA=")),
        _event(lambda event: event["proof"].pop()),
        _event(lambda event: event["proof"].append(event["proof"][0])),
        _checkpoint,
    ],
)
def test_whatever_is_changed_is_found_by_the_script(
    tree: Tree,
    events: list[RecordedEvent],
    tmp_path: Path,
    change: Callable[[str, bytes], bytes],
) -> None:
    path, changed = tmp_path / "all.zip", tmp_path / "changed.zip"
    make(tree, path, events, Wanted(1, EVENTS))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    assert check(changed, tree.signer.verifier.vkey).returncode != 0


def test_an_event_that_is_not_what_the_tree_says_is_not_exported(
    tree: Tree, events: list[RecordedEvent], tmp_path: Path
) -> None:
    events[41] = msgspec.structs.replace(events[41], payload=b"never said")
    with pytest.raises(AuditContradiction, match="position 42"):
        make(tree, tmp_path / "all.zip", events, Wanted(1, EVENTS))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_is_no_archive(tree: Tree, events: list[RecordedEvent], tmp_path: Path) -> None:
    with pytest.raises(NothingToExport):
        make(tree, tmp_path / "none.zip", events, Wanted(1, EVENTS, conversation_id="none"))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
