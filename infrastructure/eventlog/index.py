"""Where the events of a stream are: an LMDB file that is a cache of the log.

It may be deleted at any time. It carries a checkpoint (the log's identity, a position and the
checksum of the frame that ends there), and what does not fit the log is rebuilt from it. It runs
behind the log; what it does not hold yet is in `tail.StreamTail`.

It holds runs, not events: neighbouring events of one stream in one frame are one entry. Positions
need no index, see `frames.find_frame`. Keys and values are drawn in docs/formats/segment.md.
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
_VALUE: Final = struct.Struct("<QIII")
_CHECKPOINT: Final = struct.Struct("<16sQQII")
_CHECKPOINT_KEY: Final = b"checkpoint.v1"
_NO_VERSION_AFTER: Final = 0xFFFFFFFF

Run = tuple[int, int, int, int, int]
"""Neighbouring events of a stream in a frame: version of the first, how many, position of the
first, offset of the frame within its segment, number of the first within the frame (from 0).
A plain tuple: the writer makes one for each append, and it costs a fifth of a NamedTuple."""


class Location(NamedTuple):
    """Where an event is."""

    version: int
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


StreamRuns = tuple[str, Sequence[Run]]
"""A stream with runs to be indexed."""


def stream_key(stream: str) -> bytes:
    """16 bytes by which a stream is known in the index (BLAKE2b)."""
    return hashlib.blake2b(stream.encode(), digest_size=16).digest()


def expand(runs: Iterable[Run], after_version: int, limit: int | None) -> list[Location]:
    """Locations of the events of runs with `version > after_version`, at most `limit`."""
    found: list[Location] = []
    for first, count, position, offset, number in runs:
        for at in range(max(0, after_version + 1 - first), count):
            if limit is not None and len(found) >= limit:
                return found
            found.append(Location(first + at, position + at, offset, number + at))
    return found


class Index:
    """The writer's index; one per process and directory, as LMDB asks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            self._open()
        except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError):
            # Not our LMDB file any more; it is only a cache.
            shutil.rmtree(directory)
            directory.mkdir(mode=0o700)
            self._open()

    def _open(self) -> None:
        self._env: Any = lmdb.open(
            str(self._directory),
            map_size=MAP_BYTES,
            max_dbs=2,
            mode=0o600,
            # Sequential read-ahead would fill the page cache with pages that nobody asked for.
            readahead=False,
        )
        try:
            self._runs = self._env.open_db(b"runs")
            self._meta = self._env.open_db(b"meta")
        except lmdb.Error:
            self._env.close()
            raise

    def checkpoint(self) -> Checkpoint | None:
        """How far it goes; None: it is empty."""
        with self._env.begin(db=self._meta) as txn:
            data = txn.get(_CHECKPOINT_KEY)
        if data is None or len(data) != _CHECKPOINT.size:
            return None
        return Checkpoint(*_CHECKPOINT.unpack(data))

    def clear(self) -> None:
        """Forget everything."""
        with self._env.begin(write=True) as txn:
            for db in (self._runs, self._meta):
                txn.drop(db, delete=False)

    def add(self, streams: Iterable[StreamRuns], checkpoint: Checkpoint) -> None:
        """Add runs and move the checkpoint, atomically and durably.

        Raises:
            lmdb.Error: for example, the disk is full; nothing was added.
        """
        pack_key, pack_value = _KEY.pack, _VALUE.pack
        items: list[tuple[bytes, bytes]] = []
        for stream, runs in streams:
            key = stream_key(stream)
            items += [
                (pack_key(key, first), pack_value(position, offset, number, count))
                for first, count, position, offset, number in runs
            ]
        items.sort()  # LMDB takes sorted keys much faster
        with self._env.begin(write=True) as txn:
            txn.cursor(self._runs).putmulti(items)
            txn.put(_CHECKPOINT_KEY, _CHECKPOINT.pack(*checkpoint), db=self._meta)

    def last_version(self, stream: str) -> int:
        """Version of the stream's last indexed event, -1: none."""
        key = stream_key(stream)
        with self._env.begin(db=self._runs) as txn:
            cursor = txn.cursor()
            # Most look-ups are for streams that are new: one step of the cursor tells.
            if not _seek_stream(cursor, key):
                return -1
            run = _run_at_or_before(cursor, key, _NO_VERSION_AFTER)
        return run[0] + run[1] - 1 if run else -1

    def absent(self, streams: Iterable[str]) -> list[str]:
        """Those of the streams that it does not know."""
        with self._env.begin(db=self._runs) as txn:
            cursor = txn.cursor()
            return [stream for stream in streams if not _seek_stream(cursor, stream_key(stream))]

    def runs(self, stream: str, after_version: int, limit: int | None) -> list[Run]:
        """Runs with events of the stream with `version > after_version`, in version order.

        Args:
            stream: Its name.
            after_version: The first run may begin before it.
            limit: Number of events after which to stop; None: never.
        """
        key = stream_key(stream)
        found: list[Run] = []
        events = 0
        with self._env.begin(db=self._runs) as txn:
            cursor = txn.cursor()
            if not _seek_stream(cursor, key):
                return found
            run = _run_of(cursor, key)
            if after_version >= 0:
                run = _run_at_or_before(cursor, key, after_version + 1) or run
            while run is not None and (limit is None or events < limit):
                fresh = run[0] + run[1] - 1 - after_version
                if fresh > 0:
                    found.append(run)
                    events += min(fresh, run[1])
                run = _run_of(cursor, key) if cursor.next() else None
        return found

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def _seek_stream(cursor: Any, key: bytes) -> bool:
    """Stand on the stream's first run; False: it has none."""
    return bool(cursor.set_range(key)) and bool(cursor.key().startswith(key))


def _run_at_or_before(cursor: Any, key: bytes, version: int) -> Run | None:
    """The stream's last run that begins at a version or before it; the cursor stands on it."""
    wanted = _KEY.pack(key, version)
    if not cursor.set_range(wanted):
        there = cursor.last()
    else:
        there = cursor.key() == wanted or cursor.prev()
    return _run_of(cursor, key) if there else None


def _run_of(cursor: Any, key: bytes) -> Run | None:
    """The run that the cursor stands on, if it is of this stream."""
    found, first = _KEY.unpack(cursor.key())
    if found != key:
        return None
    position, offset, number, count = _VALUE.unpack(cursor.value())
    return (first, count, position, offset, number)
