"""Catching up by several processes: the tree is the one that a single process builds."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.transparency import catching_up
from infrastructure.transparency.builder import TreeBuilder
from infrastructure.transparency.follower import TreeFollower
from infrastructure.transparency.range_worker import RANGE
from infrastructure.transparency.signed_note import Checkpoint, open_checkpoint
from infrastructure.transparency.verifying import verify
from tests.infrastructure.transparency.conftest import Tree
from tests.serving import wait_until

RANGES = 5
REST = 700
_FOLLOWER = """
import sys
from pathlib import Path
from infrastructure.transparency import catching_up
from infrastructure.transparency.files import AuditFiles, signer
from infrastructure.transparency.follower import TreeFollower
catching_up.FAR = 0
files = AuditFiles.under(Path(sys.argv[1]))
TreeFollower(files, signer(files, "log.example/kefu"), 3600.0, processes=2).run(lambda: False)
"""


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A log of some ranges, and its tree as one process builds it."""
    made = Tree(tmp_path_factory.mktemp("long"), segment_bytes=4_000_000)
    made.append(RANGES * RANGE + REST, batch=1_700)
    made.build()
    yield made
    made.log.close()


@pytest.fixture
def fresh(long: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """The same log, and a tree of 300 leaves, which is no multiple of a tile."""
    monkeypatch.setattr(catching_up, "FAR", 0)
    copy = Tree.__new__(Tree)
    copy.log = long.log
    copy.files = long.files._replace(
        tree=tmp_path / "audit", persisted=tmp_path / "checkpoint", wanted=tmp_path / "wanted"
    )
    return copy


def tiles(tree: Tree) -> dict[Path, bytes]:
    found = (tree.files.tree / "tile").rglob("*")
    return {
        path.relative_to(tree.files.tree): path.read_bytes() for path in found if path.is_file()
    }


def finish(builder: TreeBuilder, tree: Tree) -> Checkpoint:
    while builder.advance():
        pass
    note = builder.checkpoint()
    builder.close()
    assert note is not None
    return open_checkpoint(note, tree.signer.verifier)


def processes(builder: TreeBuilder) -> list[int]:
    return builder._catch_up.processes


def started(tree: Tree) -> TreeBuilder:
    """A builder whose processes are at work."""
    builder = TreeBuilder(tree.files, tree.signer, processes=2)
    assert builder.open()
    while not processes(builder):
        assert builder.advance()
    return builder


def test_several_processes_make_the_tree_that_one_makes(long: Tree, fresh: Tree) -> None:
    found = finish(started(fresh), fresh)
    assert found.size == RANGES * RANGE + REST
    assert tiles(fresh) == tiles(long)
    assert verify(fresh.files, found, found).ok


def test_they_go_on_from_a_checkpoint_in_the_middle_of_a_tile(long: Tree, fresh: Tree) -> None:
    builder = started(fresh)
    builder.checkpoint()
    builder.close()
    small = TreeBuilder(fresh.files, fresh.signer)
    assert small.open()
    small._writer.extend(small._log.read(small.stats.size, 300))  # type: ignore[union-attr]
    note = small.checkpoint()
    small.close()
    assert note is not None
    assert open_checkpoint(note, fresh.signer.verifier).size % 256 == 300 % 256
    finish(started(fresh), fresh)
    assert tiles(fresh) == tiles(long)


def test_a_process_that_is_killed_costs_its_range_and_no_more(long: Tree, fresh: Tree) -> None:
    builder = started(fresh)
    killed = processes(builder)[0]
    os.kill(killed, signal.SIGKILL)
    while killed in processes(builder):
        assert builder.advance()
    finish(builder, fresh)
    assert tiles(fresh) == tiles(long)


def test_when_they_die_again_and_again_one_process_does_it_all(
    long: Tree, fresh: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    builder = TreeBuilder(fresh.files, fresh.signer, processes=2)
    assert builder.open()
    finish(builder, fresh)
    assert builder.stats.size == RANGES * RANGE + REST
    assert tiles(fresh) == tiles(long)


def test_a_tree_whose_tiles_are_lost_is_rebuilt_by_them(long: Tree, fresh: Tree) -> None:
    signed = finish(started(fresh), fresh)
    shutil.rmtree(fresh.files.tree)
    builder = TreeBuilder(fresh.files, fresh.signer, processes=2)
    assert builder.open()
    assert builder.stats.size == signed.size
    builder.close()
    assert tiles(fresh) == tiles(long)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holds_files(pid: int) -> bool:
    """Whether it can still write; what is ending can't, though it may still be there."""
    try:
        return bool(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def test_they_end_with_their_builder_before_another_one_begins(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "data", segment_bytes=4_000_000)
    tree.append(2 * RANGE + REST, batch=1_700)
    with subprocess.Popen([sys.executable, "-c", _FOLLOWER, str(tmp_path / "data")]) as killed:
        pids = wait_until(lambda: children(killed.pid), 30, "its processes")
        killed.kill()
    follower = TreeFollower(tree.files, tree.signer, 3600.0)
    alive: list[int] = []

    def stopping() -> bool:
        if follower.stats.size:  # it has the lock
            alive.extend(filter(holds_files, pids))
        return follower.stats.size == tree.log.durable_position

    follower.run(stopping)
    tree.log.close()
    assert not alive
    assert follower.stats.signed_size == 2 * RANGE + REST
