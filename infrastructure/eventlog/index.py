"""Where the events of a stream are: an LMDB file that is a cache of the log.

It may be deleted at any time. It carries a checkpoint (the log's identity, a position and the
checksum of the frame that ends there), and what does not fit the log is rebuilt from it. It runs
behind the log; what it does not hold yet is in `tail.StreamTail`.

Keys and values are drawn in docs/formats/segment.md.
"""

import hashlib
import shutil
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb

MAP_BYTES: Final = 1 << 40
"""Address space reserved, not disk: LMDB grows its file as needed."""

_KEY: Final = struct.Struct(">16sI")
_VALUE: Final = struct.Struct("<QII")
_POSITION: Final = struct.Struct(">Q")
_CHECKPOINT: Final = struct.Struct("<16sQQII")
_CHECKPOINT_KEY: Final = b"checkpoint"
_NO_VERSION_AFTER: Final = 0xFFFFFFFF


class Location(NamedTuple):
    """Where an event is."""

    position: int
    frame_offset: int
    """Of its frame, within its segment."""
    number: int
    """Of the event within its frame, from 0."""


class Checkpoint(NamedTuple):
    """How far the index goes, and how to tell that it belongs to this log."""

    log_uuid: bytes
    """Of the log's first segment."""
    position: int
    """The last position that is indexed."""
    segment_base: int
    frame_offset: int
    """Of the frame that ends with that position."""
    frame_crc: int


StreamEntries = tuple[str, Sequence[tuple[int, Location]]]
"""A stream with versions and locations of events to be indexed."""


def stream_key(stream: str) -> bytes:
    """16 bytes by which a stream is known in the index (BLAKE2b)."""
    return hashlib.blake2b(stream.encode(), digest_size=16).digest()


class Index:
    """The writer's index; one per process and directory, as LMDB asks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open()

    def _open(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        try:
            self._env = _environment(self._directory)
        except lmdb.Error:
            # Not an LMDB file any more; it is only a cache.
            shutil.rmtree(self._directory)
            self._directory.mkdir(mode=0o700)
            self._env = _environment(self._directory)
        self._events = self._env.open_db(b"events")
        self._frames = self._env.open_db(b"frames", integerkey=False)
        self._meta = self._env.open_db(b"meta")

    def checkpoint(self) -> Checkpoint | None:
        """How far it goes; None: it is empty or from an interrupted format."""
        with self._env.begin(db=self._meta) as txn:
            data = txn.get(_CHECKPOINT_KEY)
        if data is None or len(data) != _CHECKPOINT.size:
            return None
        return Checkpoint(*_CHECKPOINT.unpack(data))

    def clear(self) -> None:
        """Forget everything."""
        with self._env.begin(write=True) as txn:
            for db in (self._events, self._frames, self._meta):
                txn.drop(db, delete=False)

    def add(
        self,
        entries: Iterable[StreamEntries],
        frames: Iterable[tuple[int, int]],
        checkpoint: Checkpoint,
    ) -> None:
        """Add events and frames (base position, offset) and move the checkpoint, atomically."""
        pack_key, pack_value = _KEY.pack, _VALUE.pack
        items: list[tuple[bytes, bytes]] = []
        for stream, events in entries:
            key = stream_key(stream)
            items += [
                (pack_key(key, version), pack_value(*location)) for version, location in events
            ]
        items.sort()
        offsets = [(_POSITION.pack(base), offset.to_bytes(4, "little")) for base, offset in frames]
        with self._env.begin(write=True) as txn:
            txn.cursor(self._events).putmulti(items)
            txn.cursor(self._frames).putmulti(offsets)
            txn.put(_CHECKPOINT_KEY, _CHECKPOINT.pack(*checkpoint), db=self._meta)

    def last_version(self, stream: str) -> int:
        """Version of the stream's last indexed event, -1: none."""
        key = stream_key(stream)
        with self._env.begin(db=self._events) as txn, txn.cursor() as cursor:
            if cursor.set_range(_KEY.pack(key, _NO_VERSION_AFTER)):
                found = cursor.prev()
            else:
                found = cursor.last()
            if not found:
                return -1
            found_key, version = _KEY.unpack(cursor.key())
        return int(version) if found_key == key else -1

    def locations(self, stream: str, after_version: int, limit: int | None) -> list[Location]:
        """Locations of a stream's events in version order."""
        key = stream_key(stream)
        found: list[Location] = []
        with self._env.begin(db=self._events) as txn, txn.cursor() as cursor:
            more = cursor.set_range(_KEY.pack(key, after_version + 1))
            while more and (limit is None or len(found) < limit):
                found_key = cursor.key()
                if found_key[:16] != key:
                    break
                found.append(Location(*_VALUE.unpack(cursor.value())))
                more = cursor.next()
        return found

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def frame_hint(env: Any, frames: Any, position: int, segment_base: int) -> tuple[int, int] | None:
    """The indexed frame of a segment nearest before a position: base position and offset."""
    with env.begin(db=frames) as txn, txn.cursor() as cursor:
        found = cursor.set_range(_POSITION.pack(position + 1))
        found = cursor.prev() if found else cursor.last()
        if not found:
            return None
        (base,) = _POSITION.unpack(cursor.key())
        if base < segment_base:
            return None
        return int(base), int.from_bytes(cursor.value(), "little")


def _environment(directory: Path) -> Any:
    return lmdb.open(
        str(directory),
        map_size=MAP_BYTES,
        max_dbs=3,
        mode=0o600,
        # Sequential read-ahead would fill the page cache with pages that nobody asked for.
        readahead=False,
    )
