"""`TransparencyLog` over the files that the builder writes."""

from application.ports.transparency import AuditState
from infrastructure.transparency import leaves
from infrastructure.transparency.errors import NotCovered
from infrastructure.transparency.files import AuditFiles, read_state, signed_checkpoint, verifier
from infrastructure.transparency.proving import prove_soon, published
from infrastructure.transparency.tiles import (
    ENTRIES,
    WIDTH,
    parse_tile_path,
    tile_path,
    width_at,
)
from infrastructure.transparency.tree import HASH_BYTES


class AuditService:
    """What the web role serves."""

    def __init__(self, files: AuditFiles) -> None:
        self._files = files

    def checkpoint(self) -> bytes | None:
        """As `TransparencyLog.checkpoint`."""
        return signed_checkpoint(self._files)

    def tile(self, path: str) -> bytes | None:
        """As `TransparencyLog.tile`."""
        found = parse_tile_path(path)
        if found is None:
            return None
        level, number, width = found
        try:
            size = published(self._files, verifier(self._files))[0].size
        except NotCovered:
            return None
        if width_at(level, number, size) < width:
            return None  # not signed yet
        data = self._read(tile_path(level, number, width))
        if data is None and width < WIDTH:
            data = self._read(tile_path(level, number))  # it took the partial one's place
        if data is None:
            return None
        if level == ENTRIES:
            rows = leaves.split_bundle(data)[:width]
            return b"".join(len(row).to_bytes(2, "big") + row for row in rows)
        return data[: width * HASH_BYTES]

    def receipt(self, position: int, timeout_s: float) -> bytes:
        """As `TransparencyLog.receipt`."""
        return prove_soon(self._files, verifier(self._files), position, timeout_s)

    def state(self) -> AuditState:
        """As `TransparencyLog.state`."""
        return read_state(self._files) or AuditState()

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._files.tree / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
