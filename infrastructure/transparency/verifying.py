"""Offline verification: the log against its tiles, its checkpoint, and one that somebody pinned.

Everything is computed anew from the log's files (and its archive). What was wrong is located: the
tiles, which remember the hash of every event, tell which one was changed.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from infrastructure.eventlog import operations
from infrastructure.eventlog.format import InvalidBytes
from infrastructure.eventlog.frames import Frame
from infrastructure.transparency import leaves, tree
from infrastructure.transparency.comparing import AuditFinding, Comparison
from infrastructure.transparency.errors import MissingTile
from infrastructure.transparency.event_leaves import EventLeaves
from infrastructure.transparency.files import AuditFiles
from infrastructure.transparency.locating import damaged_position
from infrastructure.transparency.signed_note import Checkpoint
from infrastructure.transparency.tiles import WIDTH, TileReader

Progress = Callable[[int, int], None]
_BATCH: Final = 16_384


class AuditReport(msgspec.Struct, frozen=True):
    """What `verify` saw."""

    ok: bool
    first: int
    last: int
    """Positions that were looked at."""
    events: int
    """Events whose leaf was computed anew."""
    size: int
    """Events that the published checkpoint covers."""
    pinned_size: int | None
    """Events that the pinned one covers; None: none was given."""
    uncovered: int
    """Durable events behind the last checkpoint, which nothing vouches for yet."""
    findings: list[AuditFinding]


def verify(
    files: AuditFiles,
    checkpoint: Checkpoint,
    pinned: Checkpoint | None = None,
    progress: Progress = lambda done, total: None,
) -> AuditReport:
    """Check the whole log: every byte, every leaf, the tree, all tiles, both checkpoints.

    Args:
        files: Of the log.
        checkpoint: The published one; its signature was checked.
        pinned: One that was kept elsewhere; its signature was checked.
        progress: Is told bytes done and bytes in all.
    """
    comparison = Comparison(TileReader(files.tree, checkpoint.size), checkpoint, pinned)
    broken: list[AuditFinding] = []

    def visit(frame: Frame) -> None:
        base = frame.header.base_position
        try:
            found = leaves.frame_leaves(frame.data, frame.data_offset, frame.header)
        except InvalidBytes as error:
            broken.append(AuditFinding(base, "", "log-corrupt-frame", str(error)))
            return
        comparison.add(base - 1, found.hashes)

    report = operations.verify(files.log, progress, visit)
    for damage in report.findings:
        position = damaged_position(files.log, damage, comparison.expected)
        where = f"{damage.segment} at byte {damage.offset}: {damage.reason}"
        broken.append(AuditFinding(position, comparison.event(position), damage.code, where))
    comparison.finish(report.last_position, intact=not broken)
    return _report(1, report.last_position, comparison, broken, report.last_position)


def verify_range(
    files: AuditFiles,
    checkpoint: Checkpoint,
    pinned: Checkpoint | None,
    first: int,
    last: int | None,
    progress: Progress = lambda done, total: None,
) -> AuditReport:
    """Check some events: their frames, their leaves, and that the tiles that hold these belong to
    the checkpoint's tree. Raises as `EventLeaves.read`.

    Args:
        files: Of the log.
        checkpoint: The published one; its signature was checked.
        pinned: One that was kept elsewhere; its signature was checked. By the tiles, the published
            one has to go on from it.
        first: Position of the first event.
        last: Position of the last one; None: the log's.
        progress: Is told events done and events in all.
    """
    log = EventLeaves(files.log)
    tiles = TileReader(files.tree, checkpoint.size)
    comparison = Comparison(tiles, checkpoint, pinned)
    findings: list[AuditFinding] = []
    durable = log.durable_position()
    last = durable if last is None else min(last, durable)
    if pinned is not None and not _goes_on(tiles, pinned, checkpoint):
        reason = f"the published checkpoint does not go on from the pinned one of {pinned.size}"
        findings.append(AuditFinding(1, "", "audit-contradiction", reason))
    try:
        at = first - 1
        while at < last and (hashes := log.read(at, min(_BATCH, last - at)).hashes):
            comparison.add(at, hashes)
            at += len(hashes)
            progress(at - first + 1, last - first + 1)
    finally:
        log.close()
    for number in range((first - 1) // WIDTH, (min(last, checkpoint.size) - 1) // WIDTH + 1):
        index = number * WIDTH
        try:
            proof = tree.inclusion_proof(index, checkpoint.size, tiles.node)
            leaf = tiles.leaf_hash(index)
        except MissingTile:
            continue  # was found above
        if not tree.verify_inclusion(leaf, index, checkpoint.size, proof, checkpoint.root):
            reason = "the tile of its leaf does not belong to the tree of the checkpoint"
            event = comparison.event(index + 1)
            findings.append(AuditFinding(index + 1, event, "audit-contradiction", reason))
            break
    return _report(first, last, comparison, findings, durable)


def _goes_on(tiles: TileReader, old: Checkpoint, new: Checkpoint) -> bool:
    if old.size > new.size:
        return False
    try:
        proof = tree.consistency_proof(old.size, new.size, tiles.node)
    except MissingTile:
        return False
    return tree.verify_consistency(old.size, new.size, old.root, new.root, proof)


def _report(
    first: int, last: int, comparison: Comparison, findings: list[AuditFinding], durable: int
) -> AuditReport:
    found = sorted([*findings, *comparison.findings], key=lambda finding: finding.position)
    size, pinned = comparison.checkpoint.size, comparison.pinned
    return AuditReport(
        not found,
        first,
        last,
        comparison.events,
        size,
        None if pinned is None else pinned.size,
        max(0, durable - size),
        found,
    )
