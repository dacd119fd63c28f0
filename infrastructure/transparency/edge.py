"""The right edge of a growing tree: what is needed to append to it and to know its root."""

from collections.abc import Callable

from infrastructure.transparency import tree
from infrastructure.transparency.tiles import LEVEL_BITS, WIDTH, TileReader, split_hashes, width_at

FullTile = Callable[[int, int, list[bytes]], object]
"""(level, number, its 256 hashes)."""


class Edge:
    """At most 255 hashes a level, whatever the tree's size."""

    def __init__(self) -> None:
        self.size = 0
        self.levels: list[list[bytes]] = []
        """Of each level, the hashes of its last, partial tile."""

    @classmethod
    def from_tiles(cls, tiles: TileReader) -> "Edge":
        """The edge of a tree on disk.

        Raises:
            MissingTile: a tile at the edge is not there, or too short.
        """
        edge = cls()
        edge.size = size = tiles.size
        level = 0
        while size >> LEVEL_BITS * level:
            number = (size >> LEVEL_BITS * level) // WIDTH
            partial = width_at(level, number, size)
            edge.levels.append(split_hashes(tiles.hashes(level, number)) if partial else [])
            level += 1
        return edge

    def extend(
        self,
        hashes: list[bytes],
        full: FullTile = lambda level, number, row: None,
        level: int = 0,
    ) -> None:
        """Append leaf hashes, or those of complete subtrees.

        Args:
            hashes: In order.
            full: Is told of each tile that they complete.
            level: Of tiles that hold such hashes; the size must be a multiple of their leaves.
        """
        size = self.size
        self.size += len(hashes) << LEVEL_BITS * level
        while hashes:
            while level >= len(self.levels):
                self.levels.append([])
            row = self.levels[level]
            number = (size >> LEVEL_BITS * level) // WIDTH
            row += hashes
            end = len(row) - len(row) % WIDTH
            hashes = row[:end]
            for at in range(0, end, WIDTH):
                full(level, number + at // WIDTH, row[at : at + WIDTH])
            del row[:end]
            for _ in range(LEVEL_BITS):
                hashes = tree.pair_up(hashes)
            level += 1

    def root(self) -> bytes:
        """Root hash of the tree as it is."""
        found: list[bytes] = []
        for row in reversed(self.levels):
            at = 0
            for width in tree.powers(len(row)):
                found.append(tree.complete(row[at : at + width]))
                at += width
        return tree.fold(found)
