"""The archive of one log, for the composition root: everything that is done with it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from domain.errors import InvalidInput
from infrastructure.eventlog.archive.archiver import (
    Progress,
    only_archiver,
    upload,
    waiting,
)
from infrastructure.eventlog.archive.expiry import ExpiryReport, expire
from infrastructure.eventlog.archive.location import (
    Location,
    load_location,
    open_store,
    save_location,
)
from infrastructure.eventlog.archive.rebuild import attach, rebuild_manifest
from infrastructure.eventlog.archive.worker import ArchiveWorker, read_status
from infrastructure.eventlog.operations import durable_end
from infrastructure.eventlog.retention import CursorRegistry, RetentionPolicy, Source
from infrastructure.eventlog.segment import list_segments


class ArchiveReport(msgspec.Struct, frozen=True):
    """What `kefu log archive` did."""

    url: str
    archived: list[str]
    """Segments, by file name; with `dry_run` those that would be."""
    expiry: ExpiryReport
    local_segments: int
    remote_segments: int
    """Only in the archive."""


class ArchiveSettings(Protocol):
    """What operators set; docs/howto/settings.md has the units."""

    @property
    def archive_url(self) -> str | None: ...
    @property
    def archive_s3_endpoint(self) -> str | None: ...
    @property
    def archive_s3_region(self) -> str | None: ...
    @property
    def archive_cache_mb(self) -> int: ...
    @property
    def retain_segments(self) -> int: ...
    @property
    def retain_hours(self) -> float: ...
    @property
    def retain_free_gb(self) -> float: ...


class LogArchive:
    """A log's archive and the policy of what stays here."""

    def __init__(
        self,
        directory: Path,
        location: Location,
        policy: RetentionPolicy,
        cursors: CursorRegistry,
    ) -> None:
        self._directory = directory
        self._location = location
        self._policy = policy
        self._cursors = cursors
        self._store = open_store(location)

    @classmethod
    def of(
        cls, directory: Path, given: ArchiveSettings, cursors: Mapping[str, Source]
    ) -> "LogArchive":
        """As the operator says; without a URL the archive that the log has already.

        Raises:
            InvalidInput: it has none.
        """
        location = load_location(directory)
        if given.archive_url is not None:
            location = Location(
                given.archive_url,
                given.archive_s3_endpoint,
                given.archive_s3_region,
                given.archive_cache_mb,
            )
        if location is None:
            raise InvalidInput("There is no archive: set KEFU_ARCHIVE_URL.")
        policy = RetentionPolicy(
            given.retain_segments, given.retain_hours, int(given.retain_free_gb * 1e9)
        )
        return cls(directory, location, policy, CursorRegistry(cursors))

    def attach(self) -> None:
        """Before the log is opened: as `rebuild.attach`."""
        attach(self._directory, self._location)

    def worker(self, durable: Callable[[], int], bytes_per_s: float) -> ArchiveWorker:
        """Archiving in the background; not started."""
        return ArchiveWorker(
            self._directory,
            self._store,
            self._policy,
            self._cursors,
            durable,
            bytes_per_s=bytes_per_s,
        )

    def run(self, progress: Progress, *, dry_run: bool) -> ArchiveReport:
        """One round, now: archive what is sealed, delete what may go.

        Raises:
            ArchiveBusy: another process is at it.
            As `archiver.upload` and `expiry.expire`.
        """
        directory, store = self._directory, self._store
        if not directory.is_dir():
            raise InvalidInput(f"There is no log in {directory}.")

        def durable() -> int:
            return durable_end(directory, list_segments(directory)).position

        with only_archiver(directory):
            if dry_run:
                archived = [segment.path.name for segment in waiting(directory)]
            else:
                save_location(directory, self._location)
                archived = [entry.name for entry in upload(directory, store, progress=progress)]
            expiry = expire(directory, store, self._policy, self._cursors, durable, dry_run=dry_run)
        segments = list_segments(directory)
        remote = sum(segment.remote for segment in segments)
        return ArchiveReport(store.url, archived, expiry, len(segments) - remote, remote)

    def rebuild(self, progress: Progress) -> int:
        """The manifest anew from the store; returns how many segments it has.

        Raises:
            ArchiveBusy: another process is at it.
            As `rebuild.rebuild_manifest`.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_archiver(self._directory):
            save_location(self._directory, self._location)
            return rebuild_manifest(self._directory, self._store, progress)


def archive_state(directory: Path) -> str:
    """`off`, `ok`, `failing`, or `retention-blocked`, by the last round of whoever writes."""
    status = read_status(directory)
    if status is None:
        return "off"
    if status.error is not None:
        return "failing"
    return "ok" if status.blocked is None else "retention-blocked"
