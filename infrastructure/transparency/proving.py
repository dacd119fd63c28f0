"""Receipts from checkpoint and tiles."""

import time
from typing import Final

from infrastructure.transparency import receipt as receipts
from infrastructure.transparency import tree
from infrastructure.transparency.errors import (
    AuditContradiction,
    BadNote,
    BadReceipt,
    MissingTile,
    NotCovered,
)
from infrastructure.transparency.files import AuditFiles, ask_for, signed_checkpoint
from infrastructure.transparency.receipt import Receipt
from infrastructure.transparency.signed_note import Checkpoint, Verifier, open_checkpoint
from infrastructure.transparency.tiles import TileReader

_LOOK_S: Final = 0.02


def published(files: AuditFiles, verifier: Verifier) -> tuple[Checkpoint, bytes]:
    """The published checkpoint and its note.

    Raises:
        NotCovered: there is none yet.
        BadNote: this key has not signed it.
    """
    note = signed_checkpoint(files)
    if note is None:
        raise NotCovered(1, 0)
    return open_checkpoint(note, verifier), note


def prove(files: AuditFiles, verifier: Verifier, position: int) -> bytes:
    """The receipt of an event, as text; it was verified.

    Raises:
        NotCovered: the last checkpoint does not cover the position.
        AuditContradiction: tiles and checkpoint do not fit; `kefu audit verify` says where.
        BadNote: this key has not signed the checkpoint.
    """
    checkpoint, note = published(files, verifier)
    if not 1 <= position <= checkpoint.size:
        raise NotCovered(position, checkpoint.size)
    tiles = TileReader(files.tree, checkpoint.size)
    try:
        proof = tree.inclusion_proof(position - 1, checkpoint.size, tiles.node)
        leaf = tiles.leaf(position - 1)
        text = receipts.encode(Receipt(leaf, position - 1, proof, note))
        receipts.verify(text, verifier)
    except (MissingTile, BadReceipt) as error:
        raise AuditContradiction(position, error.detail) from error
    return text


def prove_soon(files: AuditFiles, verifier: Verifier, position: int, timeout_s: float) -> bytes:
    """As `prove`; asks the builder for a checkpoint that covers the position, and waits for it.

    Blocking: call it in a thread.
    """
    deadline = time.monotonic() + timeout_s
    asked = False
    while True:
        try:
            return prove(files, verifier, position)
        except (NotCovered, BadNote):
            if time.monotonic() > deadline:
                raise
        if not asked:
            ask_for(files, position)
            asked = True
        time.sleep(_LOOK_S)
