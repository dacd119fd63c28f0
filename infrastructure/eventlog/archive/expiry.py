"""Deleting local files of archived segments, the oldest first, by policy and need."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from infrastructure.eventlog.archive import manifest
from infrastructure.eventlog.archive.archiver import verify_archived
from infrastructure.eventlog.archive.compression import Pace, unhurried
from infrastructure.eventlog.archive.errors import ArchiveConflict
from infrastructure.eventlog.archive.object_store import ObjectStore
from infrastructure.eventlog.archive.stats import ArchiveStats
from infrastructure.eventlog.disk import sync_directory
from infrastructure.eventlog.format import Footer
from infrastructure.eventlog.retention import CursorRegistry, CursorUnreadable, RetentionPolicy
from infrastructure.eventlog.segment import Segment, list_segments, read_footer, size_of

FreeBytes = Callable[[Path], int]


class ExpiryReport(msgspec.Struct, frozen=True):
    """What was deleted here, and what holds the rest."""

    deleted: list[str]
    """Segments, by file name; with `dry_run` those that would be."""
    freed_bytes: int
    kept: str | None
    """Why the oldest segment that is still here stays; None: there is none sealed."""
    cursors: dict[str, int]
    """Who was asked what he needs."""
    dry_run: bool


def free_bytes(directory: Path) -> int:
    """Free space of a directory's disk."""
    return shutil.disk_usage(directory).free


def expire(
    directory: Path,
    store: ObjectStore,
    policy: RetentionPolicy,
    cursors: CursorRegistry,
    durable: Callable[[], int],
    *,
    dry_run: bool = False,
    pace: Pace | None = None,
    stats: ArchiveStats | None = None,
    free: FreeBytes = free_bytes,
) -> ExpiryReport:
    """Delete what may go; call it within `only_archiver`.

    Each segment is read back from the archive and compared once more before it is deleted: it may
    have lain there for months. With `dry_run` that is left out, and what is not archived yet
    counts as if it were.

    Raises:
        ArchiveUnavailable, MissingSegment, CorruptArchive, ArchiveConflict: the archive does not
            hold what it should; that segment stays.
        Stopped: by the pace.
    """
    pace, stats = pace or unhurried(), stats or ArchiveStats()
    sealed = [s for s in list_segments(directory) if s.sealed and not s.remote]
    try:
        needs = cursors.positions(durable)
    except CursorUnreadable as error:
        stats.blocked = f"nothing is deleted, because a cursor is not known: {error.detail}"
        return ExpiryReport([], 0, stats.blocked, {}, dry_run)
    stats.blocked = None
    deleted: list[str] = []
    freed = 0
    kept = "one of the newest segments" if sealed else None
    for segment in sealed[: max(0, len(sealed) - policy.segments)]:
        footer = read_footer(segment.path)
        reason = _reason(footer, policy, needs, free(directory) + (freed if dry_run else 0))
        if reason is None and not dry_run:
            reason = _delete(segment, footer, store, pace)
        if reason is not None:
            kept = reason
            break
        deleted.append(segment.path.name)
        freed += size_of(segment)
        stats.deleted += not dry_run
    return ExpiryReport(deleted, freed, kept, needs, dry_run)


def _reason(
    footer: Footer, policy: RetentionPolicy, needs: dict[str, int], free: int
) -> str | None:
    """Why a segment stays; None: it may go."""
    for name, position in needs.items():
        if position < footer.last_position:
            return f"needed by {name}, which is at position {position}"
    age_h = (time.time() - footer.last_timestamp_us / 1e6) / 3600
    if age_h < policy.hours and free >= policy.free_bytes:
        return f"its events are younger than {policy.hours:g} h"
    return None


def _delete(segment: Segment, footer: Footer, store: ObjectStore, pace: Pace) -> str | None:
    """Delete an archived segment here; why not, if it is not archived."""
    directory = segment.path.parent
    entry = manifest.load(directory, segment.base_position)
    if entry is None:
        return "not archived yet"
    if entry.footer() != footer or entry.bytes != segment.path.stat().st_size:
        raise ArchiveConflict(store.url, entry.key)
    verify_archived(store, entry, directory, pace)
    os.unlink(segment.path)
    sync_directory(directory)
    return None
