"""Uploading sealed segments, each read back and compared before it counts as archived."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infrastructure.eventlog.archive import manifest
from infrastructure.eventlog.archive.cache import intact_pieces
from infrastructure.eventlog.archive.compression import Pace, compress, read_pieces, unhurried
from infrastructure.eventlog.archive.errors import ArchiveBusy, ArchiveConflict, CorruptArchive
from infrastructure.eventlog.archive.manifest import ArchivedSegment, archive_directory
from infrastructure.eventlog.archive.object_store import ObjectStore
from infrastructure.eventlog.archive.stats import ArchiveStats
from infrastructure.eventlog.errors import CorruptSegment, MissingSegment
from infrastructure.eventlog.segment import Segment, list_segments, read_footer, read_header

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

_LOCK: Final = "lock"
_PART: Final = "upload-"


@contextmanager
def only_archiver(directory: Path) -> Iterator[None]:
    """Be the one process that archives this log.

    Raises:
        ArchiveBusy: another one is.
    """
    own = archive_directory(directory)
    own.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(own / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for leftover in own.glob(f"{_PART}*"):
            leftover.unlink()
        yield
    except BlockingIOError:
        raise ArchiveBusy(f"Another process is archiving {directory}; wait for its end.") from None
    finally:
        os.close(fd)


def waiting(directory: Path) -> list[Segment]:
    """Sealed segments that are not archived yet, in order."""
    archived = set(manifest.archived_bases(directory))
    return [
        segment
        for segment in list_segments(directory)
        if segment.sealed and segment.base_position not in archived
    ]


def upload(
    directory: Path,
    store: ObjectStore,
    pace: Pace | None = None,
    stats: ArchiveStats | None = None,
    progress: Progress = lambda done, total: None,
) -> list[ArchivedSegment]:
    """Archive every sealed segment that is not yet; call it within `only_archiver`.

    A segment counts as archived when the store has given it back, byte for byte, and the manifest
    says so durably. Interrupted anywhere, the next call goes on.

    Raises:
        ArchiveUnavailable: the store does not answer.
        ArchiveConflict: the store holds something else under a segment's key.
        CorruptArchive: what the store gives back is not what was sent.
        CorruptSegment: a segment here is damaged.
        Stopped: by the pace.
    """
    pace, stats = pace or unhurried(), stats or ArchiveStats()
    segments = waiting(directory)
    total = sum(segment.path.stat().st_size for segment in segments)
    done: list[ArchivedSegment] = []
    for segment in segments:
        entry = _archive(segment.path, store, pace)
        manifest.save(directory, entry)
        done.append(entry)
        stats.uploaded(entry)
        progress(sum(found.bytes for found in done), total)
    return done


def verify_archived(store: ObjectStore, entry: ArchivedSegment, directory: Path, pace: Pace) -> int:
    """Read a segment back from the store, decompress it, and compare its hashes: of the whole
    file, and of the content, which stands in the footer and in the next segment's header.

    Returns:
        Bytes of the compressed object.

    Raises:
        ArchiveUnavailable, MissingSegment, CorruptArchive.
    """
    counted = _Counted(store)
    content, left = hashlib.sha256(), entry.content_end
    for piece in intact_pieces(counted, entry, directory):
        pace.take(len(piece))
        content.update(memoryview(piece)[:left])
        left -= min(left, len(piece))
    if content.hexdigest() != entry.content_hash:
        reason = f"object in {store.url} does not have the content hash of the footer"
        raise CorruptArchive(directory / entry.key, 0, entry.base_position, reason)
    return counted.bytes


def _archive(path: Path, store: ObjectStore, pace: Pace) -> ArchivedSegment:
    entry = describe(path, pace)
    if not store.exists(entry.key):
        fd, name = tempfile.mkstemp(prefix=_PART, dir=archive_directory(path.parent))
        part = Path(name)
        try:
            with open(fd, "wb") as file:
                for piece in compress(read_pieces(path, pace), entry.bytes):
                    file.write(piece)
            store.put(entry.key, part)
        finally:
            part.unlink()
    try:
        stored = verify_archived(store, entry, path.parent, pace)
    except MissingSegment as error:
        reason = f"object in {store.url} is gone although it was just stored"
        raise CorruptArchive(path, 0, entry.base_position, reason) from error
    entry = _with_stored_bytes(entry, stored)
    _store_manifest(entry, store, path.parent)
    return entry


def describe(path: Path, pace: Pace, stored_bytes: int = 0) -> ArchivedSegment:
    """What the manifest will say of a sealed segment file.

    Raises:
        CorruptSegment: its content does not have the hash in its footer.
    """
    header, footer = read_header(path), read_footer(path)
    whole, content, size, left = hashlib.sha256(), hashlib.sha256(), 0, footer.content_end
    for piece in read_pieces(path, pace):
        whole.update(piece)
        content.update(memoryview(piece)[:left])
        size += len(piece)
        left -= min(left, len(piece))
    if content.digest() != footer.content_hash:
        reason = "content does not have the hash in the footer; it is not archived"
        raise CorruptSegment(path, footer.content_end, header.base_position, reason)
    return ArchivedSegment(
        base_position=header.base_position,
        last_position=footer.last_position,
        events=footer.events,
        streams=footer.streams,
        content_end=footer.content_end,
        last_timestamp_us=footer.last_timestamp_us,
        uuid=header.uuid.hex(),
        previous_hash=header.previous_hash.hex(),
        content_hash=footer.content_hash.hex(),
        bytes=size,
        sha256=whole.hexdigest(),
        stored_bytes=stored_bytes,
    )


def _store_manifest(entry: ArchivedSegment, store: ObjectStore, directory: Path) -> None:
    if store.exists(entry.manifest_key):
        if b"".join(store.get(entry.manifest_key)) != manifest.encode(entry):
            raise ArchiveConflict(store.url, entry.manifest_key)
        return
    fd, name = tempfile.mkstemp(prefix=_PART, dir=archive_directory(directory))
    try:
        with open(fd, "wb") as file:
            file.write(manifest.encode(entry))
        store.put(entry.manifest_key, Path(name))
    finally:
        os.unlink(name)


def _with_stored_bytes(entry: ArchivedSegment, stored: int) -> ArchivedSegment:
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return ArchivedSegment(**{**fields, "stored_bytes": stored})


class _Counted:
    """A store that counts what it gives."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.bytes = 0
        self.url = store.url
        self.put = store.put
        self.exists = store.exists
        self.list = store.list

    def get(self, key: str) -> Iterator[bytes]:
        for piece in self._store.get(key):
            self.bytes += len(piece)
            yield piece
