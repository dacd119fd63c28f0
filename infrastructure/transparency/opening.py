"""Opening the tree at a start: going on from the last checkpoint, or building anew up to it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infrastructure.transparency.catching_up import CatchUp, up_to_tile
from infrastructure.transparency.edge import Edge
from infrastructure.transparency.errors import AuditContradiction, MissingTile
from infrastructure.transparency.event_leaves import EventLeaves
from infrastructure.transparency.files import CHECKPOINT
from infrastructure.transparency.signed_note import Checkpoint
from infrastructure.transparency.tile_writer import TileWriter
from infrastructure.transparency.tiles import WIDTH, TileReader

_BATCH: Final = 16_384


def open_tree(
    directory: Path,
    log: EventLeaves,
    last: tuple[Checkpoint, bytes] | None,
    catch_up: CatchUp,
    stopping: Callable[[], bool] = lambda: False,
) -> TileWriter | None:
    """A writer that stands at the last checkpoint.

    Args:
        directory: Of the tree; made if it is missing.
        log: The event log.
        last: The last checkpoint that was signed, and its note; None: none was.
        catch_up: Writes tiles where many are missing.
        stopping: Whether to give up building anew; the next start begins again.

    Returns:
        The writer; None: it was told to stop.

    Raises:
        AuditContradiction: the log is not the one that was signed.
        CorruptLog: the log is damaged.
    """
    fresh = directory.with_name(directory.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    if last is None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return TileWriter(directory, Edge(), [])
    checkpoint, note = last
    if checkpoint.size > (durable := log.durable_position()):
        raise AuditContradiction(
            durable + 1,
            f"the log ends before it, but a checkpoint of {checkpoint.size} events was signed:"
            " the log was cut, or an older one was restored",
        )
    writer = _go_on(directory, log, checkpoint)
    if writer is not None:
        return writer
    writer = _build(fresh, log, checkpoint.size, catch_up, stopping)
    if writer is None:
        return None
    if writer.edge.root() != checkpoint.root:
        shutil.rmtree(fresh, ignore_errors=True)
        raise AuditContradiction(
            1,
            f"the log's first {checkpoint.size} events do not have the root of the checkpoint that"
            " was signed: history was rewritten (`kefu audit verify` looks for the place)",
        )
    writer.flush()
    (fresh / CHECKPOINT).write_bytes(note)
    shutil.rmtree(directory, ignore_errors=True)
    fresh.rename(directory)
    return _go_on(directory, log, checkpoint)


def _go_on(directory: Path, log: EventLeaves, checkpoint: Checkpoint) -> TileWriter | None:
    """A writer over tiles that are there; None: they are not, or not those of the checkpoint.

    Raises:
        AuditContradiction: the log differs from the tiles at the edge.
    """
    tiles = TileReader(directory, checkpoint.size)
    try:
        edge = Edge.from_tiles(tiles)
        if edge.root() != checkpoint.root:
            return None
        if not checkpoint.size:
            return TileWriter(directory, edge, [])
        number = (checkpoint.size - 1) // WIDTH
        known = tiles.hashes(0, number)
        written = tiles.entries(number)
    except MissingTile:
        return None
    # Another log in the place of ours shows here, before anything is added to the tree.
    first = number * WIDTH
    entries, hashes = log.read(first, len(written))
    for at, found in enumerate(hashes):
        if found != known[32 * at : 32 * at + 32]:
            raise AuditContradiction(
                first + at + 1, "the log holds another event than the one in the signed tree"
            )
    return TileWriter(directory, edge, entries if len(entries) < WIDTH else [])


def _build(
    directory: Path,
    log: EventLeaves,
    size: int,
    catch_up: CatchUp,
    stopping: Callable[[], bool],
) -> TileWriter | None:
    directory.mkdir(mode=0o700, parents=True)
    writer = TileWriter(directory, Edge(), [])
    while writer.edge.size < size:
        if stopping():
            catch_up.close()
            return None
        if not catch_up.advance(writer, size):
            at = writer.edge.size
            writer.extend(log.read(at, min(_BATCH, size - at, up_to_tile(at))))
    catch_up.close()
    return writer
