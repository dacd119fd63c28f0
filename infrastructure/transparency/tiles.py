"""Tiles (c2sp.org/tlog-tiles) on disk: where they are, and proofs read from them.

A tile of level L holds up to 256 hashes of complete subtrees over 256**L leaves each; an entry
bundle holds up to 256 leaves. A partial one (`.p/W`) stays until the full one is there.
"""

import re
from collections import OrderedDict
from pathlib import Path
from typing import Final

from infrastructure.transparency import leaves, tree
from infrastructure.transparency.errors import MissingTile
from infrastructure.transparency.tree import HASH_BYTES

WIDTH: Final = 256
LEVEL_BITS: Final = 8
ENTRIES: Final = "entries"
_CACHED: Final = 256
"""Tiles that a reader keeps: 2 MB."""
_PATH: Final = re.compile(
    r"(?P<level>entries|0|[1-9]|[1-5][0-9]|6[0-3])"
    r"/(?P<number>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Path of a tile below the log's prefix, such as `tile/0/x001/234.p/17`."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str) -> tuple[int | str, int, int] | None:
    """Level (or `entries`), number and width of what is behind `tile/`; None: no tile's path."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = found["level"] if found["level"] == ENTRIES else int(found["level"])
    number = int(found["number"].replace("x", "").replace("/", ""))
    width = int(found["width"] or WIDTH)
    if width > WIDTH or tile_path(level, number, width) != f"tile/{path}":
        return None  # not the one way of writing it
    return level, number, width


def width_at(level: int | str, number: int, size: int) -> int:
    """Hashes or leaves of a tile in a tree of a size, 0 to 256."""
    whole = size if isinstance(level, str) else size >> LEVEL_BITS * level
    return max(0, min(WIDTH, whole - number * WIDTH))


class TileReader:
    """The tiles of a tree of a size; memory is bounded. Not for several threads."""

    def __init__(self, directory: Path, size: int) -> None:
        self.size = size
        self._directory = directory
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def hashes(self, level: int, number: int) -> bytes:
        """The hashes of a tile, one behind the other.

        Raises:
            MissingTile: it is not there, or too short.
        """
        key = level, number
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        width = width_at(level, number, self.size)
        length = width * HASH_BYTES
        found = self._read(level, number, width)
        if len(found) < length:
            raise MissingTile(tile_path(level, number, width), "is too short")
        self._kept[key] = found = found[:length]
        while len(self._kept) > _CACHED:
            self._kept.popitem(last=False)
        return found

    def entries(self, number: int) -> list[bytes]:
        """Leaves of an entry bundle.

        Raises:
            MissingTile: it is not there, or damaged.
        """
        width = width_at(ENTRIES, number, self.size)
        try:
            found = leaves.split_bundle(self._read(ENTRIES, number, width))
        except ValueError as error:
            raise MissingTile(tile_path(ENTRIES, number, width), str(error)) from None
        if len(found) < width:
            raise MissingTile(tile_path(ENTRIES, number, width), "is too short")
        return found[:width]

    def leaf(self, index: int) -> bytes:
        """A leaf's data; raises as `entries`."""
        return self.entries(index // WIDTH)[index % WIDTH]

    def leaf_hash(self, index: int) -> bytes:
        """A leaf's hash; raises as `hashes`."""
        return self.node(0, index)

    def node(self, level: int, number: int) -> bytes:
        """As `tree.Nodes`; raises as `hashes`."""
        tile_level, rest = divmod(level, LEVEL_BITS)
        first = number << rest
        hashes = self.hashes(tile_level, first // WIDTH)
        at = first % WIDTH * HASH_BYTES
        return tree.complete(split_hashes(hashes[at : at + (HASH_BYTES << rest)]))

    def root(self) -> bytes:
        """Root by the tiles."""
        return tree.root(self.size, self.node)

    def _read(self, level: int | str, number: int, width: int) -> bytes:
        # A partial tile may have been replaced by the full one, which begins with it.
        for path in dict.fromkeys((tile_path(level, number, width), tile_path(level, number))):
            try:
                return (self._directory / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
        raise MissingTile(tile_path(level, number, width))


def split_hashes(data: bytes) -> list[bytes]:
    """Hashes that stand one behind the other."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
