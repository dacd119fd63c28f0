"""A builder that is killed at any call never signs two different trees of one size, and always
goes on from what it signed last."""

import base64
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.transparency import leaves, tree
from infrastructure.transparency.files import AuditFiles, signer
from infrastructure.transparency.signed_note import Checkpoint, open_checkpoint
from infrastructure.transparency.verifying import verify
from tests.faults.tree_builder import ORIGIN

KILLS = 600 if os.environ.get("KEFU_SOAK") else 120

pytestmark = pytest.mark.faults


class Nursery:
    """Starts builders, one after the other."""

    def __init__(self, data: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.tree_builder", str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def build(self, count: int) -> tuple[list[bytes], int]:
        """Notes that a builder signed, and how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        notes = []
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "dead":
                return notes, int(rest)
            notes.append(base64.b64decode(rest))
        raise AssertionError("the nursery is gone")

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def nursery(data: Path) -> Iterator[Nursery]:
    made = Nursery(data)
    yield made
    made.close()


@pytest.mark.timeout(900 + KILLS)
def test_no_kill_makes_two_trees_of_one(data: Path, nursery: Nursery) -> None:
    chance = random.Random(KILLS)
    files = AuditFiles.under(data)
    seen: dict[int, bytes] = {}
    last = killed = 0
    with EventLog.open(files.log) as log:
        for number in range(KILLS):
            events = [NewEvent("t.v1", b"%d" % number, b"")]
            appends = [StreamAppend("s", ANY_VERSION, events)] * chance.choice((1, 7, 90, 200))
            log.append_sync([appends])
            if number % 17 == 16:
                shutil.rmtree(files.tree, ignore_errors=True)  # it is rebuilt, whatever kills that
            notes, status = nursery.build(chance.choice((5, 20, 60, 300)) + chance.randrange(40))
            assert status in (0, -9)
            killed += status == -9
            verifier = signer(files, ORIGIN).verifier
            for path in (files.persisted, files.tree / "checkpoint"):
                if path.exists():
                    notes.append(path.read_bytes())
            for note in notes:
                found = open_checkpoint(note, verifier)
                assert seen.setdefault(found.size, note) == note, "two checkpoints of one size"
            if files.persisted.exists():
                size = open_checkpoint(files.persisted.read_bytes(), verifier).size
                assert size >= last
                last = size
        assert killed > KILLS // 3
        _, status = nursery.build(10**9)
        assert status == 0
        found = open_checkpoint(files.persisted.read_bytes(), verifier)
        assert found.size == log.durable_position
        assert verify(files, found, found).ok
        _require_roots(files, [open_checkpoint(note, verifier) for note in seen.values()])


def _require_roots(files: AuditFiles, checkpoints: list[Checkpoint]) -> None:
    """Each is the tree of the log's first events, and so consistent with every other."""
    reader = LogReader(files.log)
    events = reader.read(0, 10**9)
    reader.close()
    hashes = [tree.leaf_hash(leaves.encode(leaves.leaf_of(event))) for event in events]
    for one in checkpoints:
        root = tree.root(
            one.size, lambda level, at: tree.complete(hashes[at << level : (at + 1) << level])
        )
        assert one.root == root
