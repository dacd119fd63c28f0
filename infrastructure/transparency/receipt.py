"""Receipts: c2sp.org/tlog-proof@v1, with the leaf as its extra data.

Whoever has the verifier key checks one with nothing else: the leaf says which event it is and what
its payload and metadata hash to, and the proof leads from it to the signed root.
"""

import base64
import binascii
import re
from typing import Final, NamedTuple

from infrastructure.transparency import leaves, tree
from infrastructure.transparency.errors import BadReceipt
from infrastructure.transparency.leaves import Leaf
from infrastructure.transparency.signed_note import Checkpoint, Verifier, open_checkpoint

HEADER: Final = "c2sp.org/tlog-proof@v1"
MEDIA_TYPE: Final = "text/plain; charset=utf-8"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MAX_HASHES: Final = 63


class Receipt(NamedTuple):
    """A receipt whose proof was not checked yet."""

    leaf: bytes
    number: int
    """Of the leaf, from 0: its position - 1."""
    proof: list[bytes]
    note: bytes
    """The signed checkpoint."""


class Proven(NamedTuple):
    """What a checked receipt proves."""

    leaf: Leaf
    checkpoint: Checkpoint


def encode(receipt: Receipt) -> bytes:
    """The receipt as text."""
    lines = [HEADER, f"extra {_base64(receipt.leaf)}", f"index {receipt.number}"]
    lines += map(_base64, receipt.proof)
    return ("\n".join(lines) + "\n\n").encode() + receipt.note


def decode(data: bytes) -> Receipt:
    """A receipt from its text.

    Raises:
        BadReceipt: it is none.
    """
    head, found, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        header, extra, index = lines[:3]
        number = _INDEX.fullmatch(index)
        if not found or header != HEADER or number is None or not extra.startswith("extra "):
            raise ValueError("header, extra or index is missing")
        proof = [base64.b64decode(line, validate=True) for line in lines[3:]]
        if len(proof) > _MAX_HASHES or any(len(one) != tree.HASH_BYTES for one in proof):
            raise ValueError("its proof does not consist of hashes")
        leaf = base64.b64decode(extra.removeprefix("extra "), validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadReceipt(f"not a receipt of an event ({HEADER}): {error}") from None
    return Receipt(leaf, int(number[1]), proof, note)


def verify(data: bytes, verifier: Verifier) -> Proven:
    """Check a receipt against a log's key; needs nothing else.

    Raises:
        BadReceipt: it is none, or proves something else.
        BadNote: its checkpoint is not one that this key has signed.
    """
    receipt = decode(data)
    checkpoint = open_checkpoint(receipt.note, verifier)
    found = tree.leaf_hash(receipt.leaf)
    if not tree.verify_inclusion(
        found, receipt.number, checkpoint.size, receipt.proof, checkpoint.root
    ):
        raise BadReceipt(f"the event is not at index {receipt.number} of the signed tree")
    try:
        leaf = leaves.decode(receipt.leaf)
    except ValueError as error:
        raise BadReceipt(str(error)) from None
    if leaf.position != receipt.number + 1:
        raise BadReceipt(f"position {leaf.position} at index {receipt.number}")
    return Proven(leaf, checkpoint)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
