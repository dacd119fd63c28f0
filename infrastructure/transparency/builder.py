"""Following the log's durable end: tiles, and a signed checkpoint now and then."""

import time
from collections.abc import Callable
from typing import Final

from infrastructure.transparency import tree
from infrastructure.transparency.catching_up import CatchUp, up_to_tile
from infrastructure.transparency.errors import AuditContradiction, MissingTile
from infrastructure.transparency.event_leaves import EventLeaves
from infrastructure.transparency.files import AuditFiles, last_signed, persist
from infrastructure.transparency.opening import open_tree
from infrastructure.transparency.signed_note import Checkpoint, Signer
from infrastructure.transparency.tile_writer import TileWriter
from infrastructure.transparency.tiles import TileReader

BATCH: Final = 16_384


class AuditStats:
    """Plain numbers that a metrics collector reads."""

    def __init__(self) -> None:
        self.size = 0
        """Events in the tree."""
        self.signed_size = 0
        """Events that the last checkpoint covers."""
        self.lag_events = 0
        """Durable events that are not in the tree yet."""
        self.leaves = 0
        self.seconds = 0.0
        self.checkpoints = 0
        self.signed_us = 0
        """When the last checkpoint was signed, microseconds since 1970; 0: not by this process."""
        self.refused = 0
        """1: nothing is signed any more."""


class TreeBuilder:
    """The tree of one log. One process at a time; the caller holds its lock."""

    def __init__(
        self, files: AuditFiles, signer: Signer, processes: int = 1, keep: tuple[int, ...] = ()
    ) -> None:
        """
        Args:
            files: Of the log.
            signer: Of checkpoints.
            processes: That catch up together when the tree is far behind; 1: this one alone.
            keep: Descriptors that they inherit, such as the caller's lock.
        """
        self.stats = AuditStats()
        self._files = files
        self._signer = signer
        self._log = EventLeaves(files.log)
        self._catch_up = CatchUp(files.log, processes, keep)
        self._writer: TileWriter | None = None
        self._last: tuple[Checkpoint, bytes] | None = None

    @property
    def signed(self) -> bytes | None:
        """Note of the last checkpoint."""
        return None if self._last is None else self._last[1]

    def open(self, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Go on from the last checkpoint, whether tiles are there or not.

        Returns:
            Whether it is open; False: it was told to stop.

        Raises:
            AuditContradiction: the log is not the one that was signed.
            BadNote: the last checkpoint is not signed by this key.
            CorruptLog: the log is damaged.
        """
        self._last = last_signed(self._files, self._signer.verifier)
        self._writer = open_tree(self._files.tree, self._log, self._last, self._catch_up, stopping)
        if self._writer is None:
            return False
        self.stats.size = self.stats.signed_size = self._writer.edge.size
        if self._last is not None:
            persist(self._files, self._last[1])
        return True

    def advance(self) -> bool:
        """Append some durable events, or wait a moment for processes that write their tiles.

        Returns:
            Whether there are more.

        Raises:
            CorruptLog: the log is damaged.
            OSError: open a new builder.
        """
        writer, stats = self._opened(), self.stats
        began, size = time.perf_counter(), writer.edge.size
        if not self._catch_up.advance(writer, self._log.durable_position()):
            found = self._log.read(size, min(BATCH, up_to_tile(size)))
            if found.leaves:
                writer.extend(found)
        stats.size = writer.edge.size
        stats.leaves += stats.size - size
        stats.lag_events = self._log.durable_position() - stats.size
        stats.seconds += time.perf_counter() - began
        return stats.lag_events > 0

    def checkpoint(self) -> bytes | None:
        """Sign what is in the tree, after everything of it is on disk and shown to go on from the
        last checkpoint; None: there is nothing new.

        Raises:
            AuditContradiction: it does not; nothing was signed.
            OSError: open a new builder.
        """
        writer, stats = self._opened(), self.stats
        size = writer.edge.size
        if size == (0 if self._last is None else self._last[0].size):
            return None
        began = time.perf_counter()
        writer.flush()
        found = Checkpoint(self._signer.verifier.name, size, writer.edge.root())
        if self._last is not None:
            self._require_consistent(self._last[0], found)
        note = self._signer.sign(found.text())
        persist(self._files, note)
        writer.drop_partial()
        self._last = found, note
        stats.signed_size = size
        stats.signed_us = time.time_ns() // 1000
        stats.checkpoints += 1
        stats.seconds += time.perf_counter() - began
        return note

    def durable_position(self) -> int:
        """Position of the log's last event on disk."""
        return self._log.durable_position()

    def close(self) -> None:
        """Release descriptors, end processes."""
        self._catch_up.close()
        self._log.close()

    def _opened(self) -> TileWriter:
        if self._writer is None:
            raise ValueError("the builder is not open")
        return self._writer

    def _require_consistent(self, old: Checkpoint, new: Checkpoint) -> None:
        """By the tiles as they are on disk, which is what others will read."""
        tiles = TileReader(self._files.tree, new.size)
        try:
            proof = tree.consistency_proof(old.size, new.size, tiles.node)
        except MissingTile as error:
            raise AuditContradiction(old.size + 1, str(error)) from error
        if not tree.verify_consistency(old.size, new.size, old.root, new.root, proof):
            raise AuditContradiction(
                old.size + 1,
                f"the tree of {new.size} events does not go on from the signed one of {old.size}",
            )
