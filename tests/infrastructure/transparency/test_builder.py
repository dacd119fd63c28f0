"""The tree beside the log: whatever the steps and the interruptions, it is the same tree."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog.encoding import MAX_NAME_BYTES
from infrastructure.eventlog.reader import LogReader
from infrastructure.transparency import leaves, receipt, tree
from infrastructure.transparency.errors import (
    AuditContradiction,
    BadNote,
    BadReceipt,
    MissingTile,
    NotCovered,
)
from infrastructure.transparency.event_leaves import EventLeaves
from infrastructure.transparency.proving import prove, published
from infrastructure.transparency.signed_note import parse_vkey
from infrastructure.transparency.tiles import TileReader, parse_tile_path, tile_path, width_at
from infrastructure.transparency.tree import leaf_hash
from tests.infrastructure.transparency.conftest import Tree


def events(made: Tree) -> list[RecordedEvent]:
    reader = LogReader(made.files.log)
    try:
        return reader.read(0, 1_000_000)
    finally:
        reader.close()


def naive_root(made: Tree, size: int) -> bytes:
    hashes = [tree.leaf_hash(leaves.encode(leaves.leaf_of(event))) for event in events(made)[:size]]
    return tree.root(size, lambda level, at: tree.complete(hashes[at << level : (at + 1) << level]))


def test_the_tree_is_that_of_the_events_however_it_grew(tree: Tree) -> None:
    for count in (3, 250, 3, 1, 299, 256, 512):
        tree.append(count)
        found = tree.build()
        assert found.size == tree.log.durable_position
        assert found.root == naive_root(tree, found.size)
        assert TileReader(tree.files.tree, found.size).root() == found.root


def test_a_frame_gives_the_leaves_of_its_events(tree: Tree) -> None:
    tree.append(57, batch=19)
    log = EventLeaves(tree.files.log)
    reads = [log.read(at, 35 if at == 5 else 1) for at in (0, 5, 6, 40)]
    log.close()
    expected = [leaves.encode(leaves.leaf_of(event)) for event in events(tree)]
    chosen = [expected[0], *expected[5:40], expected[6], expected[40]]
    found = [leaf for read in reads for leaf in read.leaves]
    assert found == chosen
    hashes = [one for read in reads for one in read.hashes]
    assert hashes == [leaf_hash(leaf) for leaf in chosen]
    assert leaves.split_bundle(leaves.bundle(found)) == chosen


def test_the_longest_leaf_fits_into_a_bundle() -> None:
    names = b"n" * MAX_NAME_BYTES
    event = RecordedEvent(1, names.decode(), 0, names.decode(), 0, b"", b"")
    leaf = leaves.encode(leaves.leaf_of(event))
    assert len(leaf) == leaves.MAX_LEAF_BYTES == 1_121
    assert leaves.split_bundle(leaves.bundle([leaf, b"", leaf])) == [leaf, b"", leaf]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        RecordedEvent,
        position=st.integers(1, 2**63),
        stream=TEXT,
        version=st.integers(0, 2**32 - 1),
        type=TEXT,
        recorded_us=st.integers(0, 2**63),
        metadata=st.binary(max_size=99),
        payload=st.binary(max_size=99),
    ),
    st.data(),
)
def test_a_leaf_can_be_read_in_one_way_only(event: RecordedEvent, data: st.DataObject) -> None:
    leaf = leaves.leaf_of(event)
    encoded = leaves.encode(leaf)
    assert leaves.decode(encoded) == leaf
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(ValueError, match="leaf"):
        leaves.decode(encoded[:cut])
    with pytest.raises(ValueError, match="fill"):
        leaves.decode(encoded + b"x")
    with pytest.raises(ValueError, match="version 2"):
        leaves.decode(b"\x02" + encoded[1:])


def test_partial_tiles_are_dropped_once_the_full_one_is_signed(tree: Tree) -> None:
    tree.append(200)
    tree.build()
    at = tree.files.tree / "tile"
    assert (at / "0/000.p/200").stat().st_size == 200 * 32
    assert (at / "entries/000.p/200").exists()
    tree.append(100)
    tree.build()
    assert not (at / "0/000.p").exists()
    assert not (at / "entries/000.p").exists()
    assert (at / "0/000").stat().st_size == 256 * 32
    assert (at / "0/001.p/44").exists()
    assert (at / "1/000.p/1").exists()
    old = TileReader(tree.files.tree, 200)  # whoever holds the older checkpoint
    assert old.root() == naive_root(tree, 200)


def test_a_deleted_tree_is_rebuilt_to_the_same_root(tree: Tree) -> None:
    tree.append(700)
    before = tree.build()
    files = {p.relative_to(tree.files.tree): p.read_bytes() for p in tree.files.tree.rglob("*.p/*")}
    shutil.rmtree(tree.files.tree)
    assert tree.build() == before
    for path, data in files.items():
        assert (tree.files.tree / path).read_bytes() == data
    assert not tree.files.tree.with_name("audit.new").exists()


@pytest.mark.parametrize("kept", ["persisted", "published"])
def test_a_rewritten_log_is_refused_by_what_is_left(tree: Tree, tmp_path: Path, kept: str) -> None:
    tree.append(700)
    signed = tree.build()
    other = Tree(tmp_path / "other")
    other.append(700, text="另")
    other.append(100)
    shutil.copytree(tree.files.key.parent, other.files.key.parent)
    if kept == "published":
        other.files.persisted.unlink()
        other.files.tree.mkdir()
        shutil.copy(tree.files.tree / "checkpoint", other.files.tree)
    with pytest.raises(AuditContradiction, match="history was rewritten"):
        other.build()
    assert published(tree.files, tree.signer.verifier)[0] == signed
    assert not list(other.files.tree.glob("tile/*"))
    other.log.close()


def test_another_log_under_the_tiles_is_refused_before_anything_is_added(
    tree: Tree, tmp_path: Path
) -> None:
    tree.append(300)
    tree.build()
    other = Tree(tmp_path / "other")
    other.append(400, text="另")
    shutil.copytree(tree.files.key.parent, other.files.key.parent)
    shutil.copytree(tree.files.tree, other.files.tree)
    with pytest.raises(AuditContradiction, match="position 257: the log holds another event"):
        other.build()
    other.log.close()


def test_a_log_that_was_cut_is_refused(tree: Tree, tmp_path: Path) -> None:
    tree.append(300)
    tree.build()
    other = Tree(tmp_path / "other")
    other.append(299)
    shutil.copytree(tree.files.key.parent, other.files.key.parent)
    with pytest.raises(AuditContradiction, match="position 300: the log ends before it"):
        other.build()
    other.log.close()


def test_a_checkpoint_of_another_key_is_refused(tree: Tree) -> None:
    tree.append(5)
    tree.build()
    tree.files.key.unlink()
    with pytest.raises(BadNote, match="not signed by"):
        tree.build()


def test_a_tree_that_does_not_go_on_is_not_signed(tree: Tree) -> None:
    """Whatever the builder has in memory: the tiles are asked, too."""
    tree.append(300)
    tree.build()
    from infrastructure.transparency.builder import TreeBuilder

    builder = TreeBuilder(tree.files, tree.signer)
    assert builder.open()
    tree.append(300)
    while builder.advance():
        pass
    (tree.files.tree / "tile/1/000.p").rename(tree.files.tree / "gone")
    path = tree.files.tree / tile_path(0, 1)
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(AuditContradiction):
        builder.checkpoint()
    builder.close()
    assert published(tree.files, tree.signer.verifier)[0].size == 300


def test_a_receipt_proves_one_event_and_no_other(tree: Tree) -> None:
    tree.append(300)
    tree.build()
    verifier = parse_vkey(tree.signer.verifier.vkey)
    for position in (1, 2, 255, 256, 257, 300):
        text = prove(tree.files, verifier, position)
        assert text.startswith(b"c2sp.org/tlog-proof@v1\nextra ")
        leaf, signed = receipt.verify(text, verifier)
        assert leaf == leaves.leaf_of(events(tree)[position - 1])
        assert signed.size == 300
        found = receipt.decode(text)
        assert receipt.encode(found) == text
        for wrong in (
            found._replace(number=position),
            found._replace(proof=found.proof[1:]),
            found._replace(leaf=found.leaf[:-1] + bytes([found.leaf[-1] ^ 1])),
        ):
            with pytest.raises(BadReceipt):
                receipt.verify(receipt.encode(wrong), verifier)
        with pytest.raises(BadNote):
            receipt.verify(text.replace(b"\n300\n", b"\n301\n"), verifier)
    with pytest.raises(NotCovered):
        prove(tree.files, verifier, 301)


@pytest.mark.parametrize("text", [b"", b"c2sp.org/tlog-proof@v1\n\n", b"\xff\n\nx", b"{}"])
def test_what_is_no_receipt_is_said_so(tree: Tree, text: bytes) -> None:
    with pytest.raises(BadReceipt, match="not a receipt"):
        receipt.verify(text, parse_vkey(tree_vkey(tree)))


def tree_vkey(made: Tree) -> str:
    made.append(1)
    return made.signer.verifier.vkey


def test_paths_of_tiles_are_those_of_the_specification() -> None:
    assert tile_path(0, 0) == "tile/0/000"
    assert tile_path(3, 1_234_067, 7) == "tile/3/x001/x234/067.p/7"
    assert tile_path("entries", 273, 1) == "tile/entries/273.p/1"
    assert parse_tile_path("entries/x001/000") == ("entries", 1000, 256)
    for wrong in (
        "0/0",
        "0/1000",
        "64/000",
        "00/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/../000",
        "-1/000",
    ):
        assert parse_tile_path(wrong) is None
    assert width_at(0, 1, 300) == 44
    assert width_at(1, 0, 300) == 1
    assert width_at("entries", 2, 300) == 0


def test_a_tile_that_is_missing_is_named(tree: Tree) -> None:
    tree.append(600)
    found = tree.build()
    (tree.files.tree / "tile/0/001").unlink()
    with pytest.raises(MissingTile, match="tile/0/001"):
        TileReader(tree.files.tree, found.size).hashes(0, 1)
