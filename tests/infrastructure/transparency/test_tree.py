"""The tree against the definitions of RFC 9162 section 2.1, written down as they stand there."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.transparency import tree
from infrastructure.transparency.edge import Edge

MOST = 300
LEAVES = [f"leaf {number}".encode() for number in range(MOST)]
HASHES = [tree.leaf_hash(leaf) for leaf in LEAVES]


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    at = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:at]) + mth(leaves[at:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    at = split(len(leaves))
    if index < at:
        return [*path(index, leaves[:at]), mth(leaves[at:])]
    return [*path(index - at, leaves[at:]), mth(leaves[:at])]


def subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [mth(leaves)]
    at = split(len(leaves))
    if old <= at:
        return [*subproof(old, leaves[:at], whole), mth(leaves[at:])]
    return [*subproof(old - at, leaves[at:], False), mth(leaves[:at])]


def nodes(level: int, number: int) -> bytes:
    first = number << level
    assert first + (1 << level) <= MOST, "a node beyond the tree"
    return tree.complete(HASHES[first : first + (1 << level)])


@pytest.mark.parametrize("size", range(MOST + 1))
def test_a_root_is_that_of_the_rfc(size: int) -> None:
    expected = mth(LEAVES[:size])
    assert tree.root(size, nodes) == expected
    edge = Edge()
    for at in range(0, size, 7):
        edge.extend(HASHES[at : min(size, at + 7)])
    assert edge.size == size
    assert edge.root() == expected


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 127, 129, 255, 256, 257, 300])
def test_every_inclusion_proof_is_that_of_the_rfc_and_verifies(size: int) -> None:
    root = mth(LEAVES[:size])
    for index in range(size):
        proof = tree.inclusion_proof(index, size, nodes)
        assert proof == path(index, LEAVES[:size])
        assert tree.verify_inclusion(HASHES[index], index, size, proof, root)


@pytest.mark.parametrize("size", [*range(1, 34), 64, 65, 128, 256, 257])
def test_every_consistency_proof_is_that_of_the_rfc_and_verifies(size: int) -> None:
    root = mth(LEAVES[:size])
    for old in range(size + 1):
        proof = tree.consistency_proof(old, size, nodes)
        assert proof == (subproof(old, LEAVES[:size], True) if old else [])
        assert tree.verify_consistency(old, size, mth(LEAVES[:old]), root, proof)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, MOST), st.data())
def test_a_changed_inclusion_proof_proves_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = tree.root(size, nodes)
    proof = tree.inclusion_proof(index, size, nodes)
    good = (HASHES[index], index, size, proof, root)
    assert tree.verify_inclusion(*good)
    other = data.draw(st.integers(-1, size + 1).filter(lambda number: number != index))
    assert not tree.verify_inclusion(HASHES[index], other, size, proof, root)
    assert not tree.verify_inclusion(sha256(b"x").digest(), index, size, proof, root)
    assert not tree.verify_inclusion(HASHES[index], index, size, [*proof, root], root)
    assert not tree.verify_inclusion(HASHES[index], index, size, proof, proof[-1] if proof else b"")
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not tree.verify_inclusion(HASHES[index], index, size, proof[:at], root)
        flipped = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
        assert not tree.verify_inclusion(HASHES[index], index, size, flipped, root)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, MOST), st.data())
def test_a_changed_consistency_proof_proves_nothing(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    before, after = tree.root(old, nodes), tree.root(size, nodes)
    proof = tree.consistency_proof(old, size, nodes)
    assert tree.verify_consistency(old, size, before, after, proof)
    wrong = sha256(b"another history").digest()
    assert not tree.verify_consistency(old, size, wrong, after, proof)
    assert not tree.verify_consistency(old, size, before, wrong, proof)
    assert not tree.verify_consistency(size, old, after, before, proof)
    assert not tree.verify_consistency(old, size, before, after, [*proof, wrong])
    assert not tree.verify_consistency(old, size, before, after, [])
    assert not tree.verify_consistency(0, size, before, after, [])
    at = data.draw(st.integers(0, len(proof) - 1))
    flipped = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
    assert not tree.verify_consistency(old, size, before, after, flipped)


def test_there_is_no_proof_of_what_is_not_in_the_tree() -> None:
    with pytest.raises(ValueError, match="no leaf 5"):
        tree.inclusion_proof(5, 5, nodes)
    with pytest.raises(ValueError, match="no beginning"):
        tree.consistency_proof(6, 5, nodes)


@pytest.mark.parametrize("sizes", [[255, 1, 1], [256, 256], [65_535, 2, 70_000], [1, 140_000]])
def test_an_edge_tells_of_each_full_tile_once_and_in_order(sizes: list[int]) -> None:
    """Over the borders of tiles of levels 0 and 1."""
    edge, seen = Edge(), dict[int, list[int]]()
    rows: dict[tuple[int, int], list[bytes]] = {}

    def full(level: int, number: int, row: list[bytes]) -> None:
        assert len(row) == 256
        seen.setdefault(level, []).append(number)
        rows[level, number] = row

    for size in sizes:
        edge.extend([bytes([number % 251]) * 32 for number in range(size)], full)
    total = sum(sizes)
    assert seen.get(0, []) == list(range(total >> 8))
    assert seen.get(1, []) == list(range(total >> 16))
    for number in seen.get(1, []):
        below = [tree.complete(rows[0, number * 256 + at]) for at in range(256)]
        assert rows[1, number] == below
