"""The builder at work beside a log that grows."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infrastructure.transparency.files import ask_for, read_state, signed_checkpoint
from infrastructure.transparency.follower import AlreadyBuilt, TreeFollower
from infrastructure.transparency.proving import prove_soon
from infrastructure.transparency.push import Pusher, to_file
from infrastructure.transparency.signed_note import open_checkpoint
from tests.infrastructure.transparency.conftest import Tree
from tests.serving import wait_until

HOUR = 3600.0


@contextmanager
def following(tree: Tree, interval_s: float, *targets: Pusher) -> Iterator[TreeFollower]:
    follower = TreeFollower(tree.files, tree.signer, interval_s, targets)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop.is_set,))
    thread.start()
    wait_until(lambda: read_state(tree.files) is not None, 10, "the follower has begun")
    try:
        yield follower
    finally:
        stop.set()
        thread.join()


def size(tree: Tree) -> int:
    note = signed_checkpoint(tree.files)
    return 0 if note is None else open_checkpoint(note, tree.signer.verifier).size


def test_a_growing_log_is_signed_at_the_pace(tree: Tree) -> None:
    tree.append(10)
    with following(tree, 0.05) as follower:
        for _ in range(3):
            tree.append(300)
            wait_until(lambda: size(tree) == tree.log.durable_position, 10, "a checkpoint")
        assert follower.stats.signed_size == 910
        assert follower.stats.leaves == 910
        assert follower.stats.lag_events == 0
        assert follower.stats.checkpoints >= 3


def test_who_asks_does_not_wait_for_the_pace(tree: Tree) -> None:
    tree.append(10)
    with following(tree, HOUR):
        tree.append(5)
        assert prove_soon(tree.files, tree.signer.verifier, 15, 10.0)
        assert size(tree) == 15


def test_who_asks_for_what_is_not_there_yet_gets_it_once_it_is(tree: Tree) -> None:
    tree.append(10)
    with following(tree, HOUR) as follower:
        ask_for(tree.files, 30)
        wait_until(lambda: follower.stats.size == 10, 10, "the tree")
        assert size(tree) == 0
        tree.append(20)
        wait_until(lambda: size(tree) == 30, 10, "a checkpoint")


def test_what_is_there_at_the_end_is_signed(tree: Tree) -> None:
    tree.append(10)
    with following(tree, HOUR) as follower:
        wait_until(lambda: follower.stats.size == 10, 10, "the tree")
    assert size(tree) == 10


def test_two_can_not_build_one_tree(tree: Tree) -> None:
    tree.append(1)
    with following(tree, HOUR), pytest.raises(AlreadyBuilt):
        TreeFollower(tree.files, tree.signer, HOUR).run(lambda: True)


def test_a_contradiction_ends_signing_and_is_shown(tree: Tree) -> None:
    tree.append(10)
    tree.build()
    before = signed_checkpoint(tree.files)
    tree.files.key.unlink()
    with following(tree, 0.01) as follower:
        wait_until(lambda: follower.stats.refused, 10, "the refusal")
        tree.append(10)
        state = wait_until(lambda: read_state(tree.files), 10, "the state")
        assert state.refused.startswith("the note is not signed by")
    assert signed_checkpoint(tree.files) == before


def test_a_target_that_fails_gets_the_newest_when_it_works_again(tmp_path: Path) -> None:
    got: list[int] = []
    broken = threading.Event()
    broken.set()
    tried = threading.Event()

    def deliver(note: bytes, size: int) -> None:
        tried.set()
        if broken.is_set():
            raise OSError("no")
        got.append(size)

    pusher = Pusher("target", deliver)
    pusher.submit(b"1", 1)
    assert tried.wait(10)
    pusher.submit(b"2", 2)
    pusher.submit(b"3", 3)
    broken.clear()
    wait_until(lambda: got, 30, "it works again")
    assert got == [3]
    assert pusher.stats.failures >= 1
    assert pusher.stats.last_us > time.time_ns() // 1000 - 10**8
    pusher.close()


def test_a_directory_keeps_every_checkpoint_and_a_file_the_newest(tmp_path: Path) -> None:
    for size in (1, 20):
        to_file(tmp_path)(b"%d" % size, size)
        to_file(tmp_path / "newest")(b"%d" % size, size)
    assert sorted(os.listdir(tmp_path)) == [
        "00000000000000000001.checkpoint",
        "00000000000000000020.checkpoint",
        "newest",
    ]
    assert (tmp_path / "newest").read_bytes() == b"20"
