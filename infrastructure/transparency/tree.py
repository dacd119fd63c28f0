"""Merkle tree hashes and proofs, pure: RFC 9162 section 2.1.

A tree is known by its size (leaves) and by a function that gives the hashes of its complete
subtrees, wherever they are kept: nothing here holds a leaf.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256().digest()

Nodes = Callable[[int, int], bytes]
"""(level, number) -> hash of the complete subtree over 2**level leaves from number * 2**level."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf (RFC 9162 section 2.1.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (RFC 9162 section 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def pair_up(hashes: Sequence[bytes]) -> list[bytes]:
    """Hashes of the nodes over an even number of neighbours: the next level of the tree."""
    prefixed, found, each = sha256(b"\x01").copy, list[bytes](), iter(hashes)
    append = found.append
    for left, right in zip(each, each, strict=True):
        state = prefixed()  # faster than a new one: OpenSSL looks for nothing
        state.update(left + right)
        append(state.digest())
    return found


def complete(hashes: Sequence[bytes]) -> bytes:
    """Hash of the subtree over a power of two of neighbours."""
    while len(hashes) > 1:
        hashes = pair_up(hashes)
    return hashes[0]


def fold(subtrees: Sequence[bytes]) -> bytes:
    """Root over complete subtrees of falling sizes, from left to right."""
    if not subtrees:
        return EMPTY_ROOT
    found = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        found = node_hash(left, found)
    return found


def powers(count: int) -> list[int]:
    """The powers of two that add up to a number, the largest first."""
    return [1 << bit for bit in reversed(range(count.bit_length())) if count >> bit & 1]


def subtree(first: int, end: int, nodes: Nodes) -> bytes:
    """MTH(D[first:end]), where `first` is a multiple of the power of two that splits it."""
    found, at = [], first
    for width in powers(end - first):
        level = width.bit_length() - 1
        found.append(nodes(level, at >> level))
        at += width
    return fold(found)


def root(size: int, nodes: Nodes) -> bytes:
    """Root hash of the tree of a size."""
    return subtree(0, size, nodes)


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """PATH(index, D[size]) (RFC 9162 section 2.1.3.1).

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    proof: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            proof.append(subtree(middle, end, nodes))
            end = middle
        else:
            proof.append(subtree(first, middle, nodes))
            first = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """PROOF(old, D[new]) (RFC 9162 section 2.1.4.1); empty for equal sizes and for old = 0.

    Raises:
        ValueError: the new tree is smaller.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves is no beginning of one of {new}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    first, end, whole = 0, new, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            proof.append(subtree(middle, end, nodes))
            end = middle
        else:
            proof.append(subtree(first, middle, nodes))
            first, whole = middle, False
    if not whole:
        proof.append(subtree(first, end, nodes))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> bool:
    """Whether a leaf's hash is at an index of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            found = node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and found == expected


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the old tree is the beginning of the new one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _split(count: int) -> int:
    """The largest power of two smaller than a number of at least 2."""
    return 1 << (count - 1).bit_length() - 1
