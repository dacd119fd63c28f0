"""Leaves computed anew beside those that the tiles remember."""

from typing import Final

import msgspec

from infrastructure.transparency import leaves, tree
from infrastructure.transparency.edge import Edge
from infrastructure.transparency.errors import MissingTile
from infrastructure.transparency.signed_note import Checkpoint
from infrastructure.transparency.tiles import WIDTH, TileReader, tile_path
from infrastructure.transparency.tree import HASH_BYTES

_MOST: Final = 100
"""Differences that are named; of a history that was rewritten, the first ones say enough."""


class AuditFinding(msgspec.Struct, frozen=True):
    """Something that is not as it was signed."""

    position: int
    """The first event that is concerned."""
    event: str
    """Stream, version and type of that event as they were signed; empty: not known."""
    code: str
    reason: str


class Comparison:
    """Takes leaf hashes in order; gaps are allowed, and the root is unknown then."""

    def __init__(
        self, tiles: TileReader, checkpoint: Checkpoint, pinned: Checkpoint | None
    ) -> None:
        self.checkpoint = checkpoint
        self.pinned = pinned
        self.events = 0
        self.findings: list[AuditFinding] = []
        self._tiles = tiles
        self._edge = Edge()
        marks = {checkpoint.size} | ({pinned.size} if pinned is not None else set())
        self._marks = sorted(marks)
        self._roots = {0: tree.EMPTY_ROOT}
        """Size -> root of the log as it is, of the sizes that the checkpoints have."""
        self._missing: set[str] = set()

    def add(self, first: int, hashes: list[bytes]) -> None:
        """Leaf hashes from an index on."""
        self.events += len(hashes)
        self._compare(first, hashes)
        if self._edge.size != first:
            return  # something before it is damaged
        at = 0
        for mark in self._marks:
            if first + at < mark <= first + len(hashes):
                self._edge.extend(hashes[at : mark - first], self._full)
                at = mark - first
                self._roots[mark] = self._edge.root()
        self._edge.extend(hashes[at:], self._full)

    def finish(self, last: int, *, intact: bool) -> None:
        """All was added.

        Args:
            last: Position of the log's last event.
            intact: Whether nothing of the log is damaged, so that roots can be compared.
        """
        for name, known in (("pinned", self.pinned), ("published", self.checkpoint)):
            if known is None:
                continue
            if known.size > last:
                reason = f"the log ends before it; the {name} checkpoint covers {known.size} events"
                self._find(last + 1, "audit-log-cut", reason)
            elif intact and self._roots.get(known.size) != known.root:
                reason = (
                    f"the log's first {known.size} events do not have the root of the {name}"
                    " checkpoint: history was rewritten"
                )
                position = min((found.position for found in self.findings), default=1)
                self._find(position, "audit-contradiction", reason)
        if intact and not self.findings and self._root_of_tiles() != self.checkpoint.root:
            reason = "the tiles' right edge does not have the root of the published checkpoint"
            self._find(self.checkpoint.size, "audit-contradiction", reason)

    def expected(self, position: int) -> bytes | None:
        """Leaf hash of an event by the tiles; None: they do not say."""
        if not 1 <= position <= self._tiles.size:
            return None
        try:
            return self._tiles.leaf_hash(position - 1)
        except MissingTile:
            return None

    def event(self, position: int) -> str:
        """Which event was signed at a position; empty: that is not known."""
        known = self.expected(position)
        try:
            data = self._tiles.leaf(position - 1) if known is not None else b""
            if tree.leaf_hash(data) != known:
                return ""
            leaf = leaves.decode(data)
        except (MissingTile, ValueError):
            return ""
        return f"{leaf.stream} @{leaf.version} {leaf.type}"

    def _compare(self, first: int, hashes: list[bytes]) -> None:
        end = min(first + len(hashes), self._tiles.size)
        at = first
        while at < end and len(self.findings) < _MOST:
            number, offset = divmod(at, WIDTH)
            stop = min(end, (number + 1) * WIDTH)
            found = hashes[at - first : stop - first]
            try:
                known = self._tiles.hashes(0, number)
            except MissingTile as error:
                self._miss(at + 1, error)
            else:
                known = known[offset * HASH_BYTES : (offset + len(found)) * HASH_BYTES]
                if b"".join(found) != known:
                    self._differ(at, found, known)
            at = stop

    def _differ(self, first: int, hashes: list[bytes], known: bytes) -> None:
        for number, found in enumerate(hashes):
            if found != known[number * HASH_BYTES :][:HASH_BYTES] and len(self.findings) < _MOST:
                reason = "the log holds another event than the one that was signed"
                self._find(first + number + 1, "audit-contradiction", reason)

    def _full(self, level: int, number: int, row: list[bytes]) -> None:
        """Tiles above the leaves."""
        if not level or (number + 1) * WIDTH > self._tiles.size >> 8 * level:
            return
        position = (number * WIDTH << 8 * level) + 1
        try:
            known = self._tiles.hashes(level, number)
        except MissingTile as error:
            self._miss(position, error)
            return
        if b"".join(row) != known and not self.findings:
            reason = f"{tile_path(level, number)} is not made of the log's events"
            self._find(position, "audit-contradiction", reason)

    def _root_of_tiles(self) -> bytes | None:
        try:
            return self._tiles.root()
        except MissingTile as error:
            self._miss(self.checkpoint.size, error)
            return self.checkpoint.root

    def _miss(self, position: int, error: MissingTile) -> None:
        if error.path not in self._missing and len(self.findings) < _MOST:
            self._missing.add(error.path)
            self.findings.append(AuditFinding(position, "", error.code, error.detail))

    def _find(self, position: int, code: str, reason: str) -> None:
        self.findings.append(AuditFinding(position, self.event(position), code, reason))
