"""Writing tiles while the tree grows.

A full tile is written in place and not flushed by itself: nobody reads it before a checkpoint
covers it, and before one is signed everything that was written since the last is made durable.
After a crash the tree goes on from the last checkpoint and the same bytes are written again.
"""

import contextlib
import ctypes
import os
import shutil
from pathlib import Path
from typing import Final

from infrastructure.eventlog.disk import sync_directory
from infrastructure.transparency.edge import Edge
from infrastructure.transparency.leaves import Leaves, bundle
from infrastructure.transparency.tiles import (
    ENTRIES,
    LEVEL_BITS,
    WIDTH,
    tile_path,
)

_FEW: Final = 64
"""Files that are flushed one by one; more of them at once by syncfs(2), as when catching up."""


class TileWriter:
    """Appends to the tree in a directory."""

    def __init__(self, directory: Path, edge: Edge, leaves: list[bytes]) -> None:
        """
        Args:
            directory: Where `tile/` is.
            edge: Of the tree that is there.
            leaves: Of its last, partial entry bundle.
        """
        self.edge = edge
        self.directory = directory
        self._root = str(directory)
        self._leaves = leaves
        self._directories: set[str] = set()
        self._unflushed: set[str] = set()
        self._many = False
        self._partial: dict[int, tuple[int, int]] = {}
        """Level -> number and width of its partial tile as it was written last."""
        self._replaced: list[str] = []
        """Full tiles that may have partial ones."""

    def extend(self, found: Leaves) -> None:
        """Append leaves; full tiles and bundles are written.

        Raises:
            OSError: what is on disk is not known; begin again from the last checkpoint.
        """
        number = self.edge.size // WIDTH
        self.edge.extend(found.hashes, self._write_full)
        pending = self._leaves
        pending += found.leaves
        end = len(pending) - len(pending) % WIDTH
        for at in range(0, end, WIDTH):
            path = tile_path(ENTRIES, number + at // WIDTH)
            self._write(path, bundle(pending[at : at + WIDTH]))
            self._complete(path)
        del pending[:end]

    def adopt(self, hashes: list[bytes]) -> None:
        """Append leaves whose tiles and bundles, all full, another process has written.

        Args:
            hashes: Of the subtree over each of these tiles; the tree's size must be a multiple of
                their width.

        Raises:
            OSError: as `extend`.
        """
        first = self.edge.size // WIDTH
        for number in range(first, first + len(hashes)):
            self._complete(tile_path(0, number))
            self._complete(tile_path(ENTRIES, number))
        self.edge.extend(hashes, self._write_full, 1)
        self._many = True

    def flush(self) -> None:
        """Write the partial tiles; all is on disk on return.

        Raises:
            OSError: as `extend`.
        """
        rows = [(level, b"".join(row), len(row)) for level, row in enumerate(self.edge.levels)]
        for level, data, width in rows:
            number = (self.edge.size >> LEVEL_BITS * level) // WIDTH
            if width and self._partial.get(level) != (number, width):
                self._partial[level] = number, width
                self._write(tile_path(level, number, width), data)
        if self._leaves:
            number, width = self.edge.size // WIDTH, len(self._leaves)
            self._write(tile_path(ENTRIES, number, width), bundle(self._leaves))
        if self._many:
            _sync_file_system(self._root)
        else:
            for path in self._unflushed:
                _sync(path)
            for directory in {os.path.dirname(path) for path in self._unflushed}:
                sync_directory(Path(directory))
        self._unflushed.clear()
        self._many = False

    def drop_partial(self) -> None:
        """Delete partial tiles whose full ones a checkpoint covers."""
        for path in self._replaced:
            shutil.rmtree(f"{path}.p", ignore_errors=True)
        self._replaced.clear()

    def _write_full(self, level: int, number: int, row: list[bytes]) -> None:
        path = tile_path(level, number)
        self._write(path, b"".join(row))
        self._complete(path)

    def _complete(self, path: str) -> None:
        full = f"{self._root}/{path}"
        if os.path.isdir(f"{full}.p"):
            self._replaced.append(full)

    def _write(self, path: str, data: bytes) -> None:
        full = f"{self._root}/{path}"
        directory = os.path.dirname(full)
        if directory not in self._directories:
            self._make(directory)
        fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            written = os.write(fd, data)
        finally:
            os.close(fd)
        if written != len(data):
            raise OSError(f"{full}: only {written} of {len(data)} bytes were written")
        if len(self._unflushed) < _FEW:
            self._unflushed.add(full)
        else:
            self._many = True

    def _make(self, directory: str) -> None:
        missing = []
        while not os.path.isdir(directory):
            missing.append(directory)
            directory = os.path.dirname(directory)
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another process catches up beside us
                os.mkdir(path, 0o700)
            sync_directory(Path(path).parent)
        if len(self._directories) > 10_000:
            self._directories.clear()
        self._directories.update(missing or [directory])


def _sync(path: str) -> None:
    # Of a partial tile that was dropped meanwhile there is nothing to keep.
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _sync_file_system(directory: str) -> None:
    """Thousands of files by one call. It flushes what others wrote there, too."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), directory)
    finally:
        os.close(fd)
