"""Reading through: archived segments that are fetched into a bounded directory on demand.

All processes that read a log share the directory. What arrives is compared with the hash in the
manifest; what was used longest ago makes room.
"""

import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from infrastructure.eventlog.archive import manifest
from infrastructure.eventlog.archive.compression import InvalidCompression, decompress
from infrastructure.eventlog.archive.errors import (
    ArchiveUnavailable,
    ArchiveUnknown,
    CorruptArchive,
    ObjectNotFound,
)
from infrastructure.eventlog.archive.location import load_location, open_store
from infrastructure.eventlog.archive.manifest import ArchivedSegment, archive_directory
from infrastructure.eventlog.archive.object_store import ObjectStore
from infrastructure.eventlog.errors import MissingSegment

_DIRECTORY: Final = "cache"
_LOCK: Final = "lock"
_PATIENCE_S: Final = 5.0
"""After a failure: until then callers get it again at once, instead of one time-out each."""


class SegmentCache:
    """Local copies of a log's archived segments; safe for threads and processes."""

    def __init__(self, directory: Path) -> None:
        self._log = directory
        self._directory = archive_directory(directory) / _DIRECTORY
        self._mutex = threading.Lock()
        self._failure: tuple[float, str] | None = None

    def path(self, entry: ArchivedSegment, *, fresh: bool = False) -> Path:
        """A local copy of an archived segment. Another process may evict it at any time, which
        an open descriptor survives.

        Args:
            entry: The segment.
            fresh: Fetch it even if there is a copy: to look at the archive itself.

        Raises:
            ArchiveUnavailable: the store does not answer, or there is no space.
            ArchiveUnknown: nobody says where the archive is.
            MissingSegment: the archive does not hold it.
            CorruptArchive: what it holds is something else.
        """
        target = self._directory / entry.name
        with self._mutex:
            if not fresh and _touch(target, entry.bytes):
                return target
            if self._failure is not None and time.monotonic() < self._failure[0]:
                raise ArchiveUnavailable(self._failure[1])
            try:
                with self._locked():
                    if fresh or not _touch(target, entry.bytes):
                        self._fetch(entry, target)
            except ArchiveUnavailable as error:
                self._failure = (time.monotonic() + _PATIENCE_S, error.detail)
                raise
            except OSError as error:
                reason = f"No copy of {entry.name} can be made here: {error.strerror or error}"
                raise ArchiveUnavailable(reason) from error
            self._failure = None
            return target

    def _fetch(self, entry: ArchivedSegment, target: Path) -> None:
        location = load_location(self._log)
        if location is None:
            raise ArchiveUnknown(
                f"{entry.name} is only in the archive, and where that is nobody says: set"
                " KEFU_ARCHIVE_URL and restart"
            )
        self._make_room(location.cache_mb * 1024 * 1024 - entry.bytes, target)
        fd, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self._directory)
        part = Path(name)
        try:
            with open(fd, "wb") as file:
                for piece in intact_pieces(open_store(location), entry, self._log):
                    file.write(piece)
                os.fchmod(file.fileno(), 0o400)
            part.rename(target)
            _touch(target, entry.bytes)
        except BaseException:
            part.unlink()
            raise

    def _make_room(self, limit: int, keep: Path) -> None:
        """Until the copies are within the limit, remove the one that was used longest ago."""
        copies = []
        for path in self._directory.iterdir():
            if path.name.startswith("."):
                path.unlink()  # of a process that was killed: whoever fetches holds the lock
            elif path.name != _LOCK and path != keep:
                copies.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        total = sum(size for _, size, _ in copies)
        for _, size, path in sorted(copies):
            if total <= limit:
                return
            path.unlink()
            total -= size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


@lru_cache(maxsize=64)
def segment_cache(directory: Path) -> SegmentCache:
    """The one cache of a log in this process."""
    return SegmentCache(directory)


def intact_pieces(store: ObjectStore, entry: ArchivedSegment, directory: Path) -> Iterator[bytes]:
    """An archived segment's bytes; they may be used once the iterator has ended by itself.

    Raises:
        ArchiveUnavailable, MissingSegment, CorruptArchive.
    """
    digest, size, stored = hashlib.sha256(), 0, 0
    path = directory / entry.key

    def counted() -> Iterator[bytes]:
        nonlocal stored
        for piece in store.get(entry.key):
            stored += len(piece)
            yield piece

    source = counted()
    try:
        for piece in decompress(source):
            size += len(piece)
            if size > entry.bytes:
                break
            digest.update(piece)
            yield piece
        for _ in source:
            pass  # what may follow the compressed frame
    except ObjectNotFound as error:
        reason = f"is neither here nor in the archive {store.url}"
        raise MissingSegment(path, 0, entry.base_position, reason) from error
    except InvalidCompression as error:
        reason = f"object in {store.url} is damaged: {error}"
        raise CorruptArchive(path, size, entry.base_position, reason) from error
    same = size == entry.bytes and digest.hexdigest() == entry.sha256
    if not same or stored != (entry.stored_bytes or stored):
        reason = f"object in {store.url} is not the segment that was archived"
        raise CorruptArchive(path, min(size, entry.bytes), entry.base_position, reason)


def local_copy(directory: Path, name: str) -> Path | None:
    """A local copy of a segment that is only in the archive; None: it is not archived.

    Raises:
        As `SegmentCache.path`.
    """
    entry = manifest.load(directory, int(name.partition(".")[0]))
    return None if entry is None else segment_cache(directory).path(entry)


def _touch(path: Path, size: int) -> bool:
    """Whether it is there; it counts as used just now."""
    try:
        if path.stat().st_size != size:
            return False
        now = time.time_ns()
        os.utime(path, ns=(now, now))  # the file system's own clock is coarse
    except FileNotFoundError:
        return False
    return True
