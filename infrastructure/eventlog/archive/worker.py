"""Archiving and expiry in the background of the process that writes the log.

It shares nothing with the writer but the disk, which the pace leaves to it: whatever fails here is
shown, and tried again in the next round.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from infrastructure.eventlog.archive.archiver import only_archiver, upload
from infrastructure.eventlog.archive.compression import Pace, Stopped
from infrastructure.eventlog.archive.errors import ArchiveBusy
from infrastructure.eventlog.archive.expiry import expire
from infrastructure.eventlog.archive.files import write_durably
from infrastructure.eventlog.archive.manifest import archive_directory
from infrastructure.eventlog.archive.object_store import ObjectStore
from infrastructure.eventlog.archive.stats import ArchiveStats
from infrastructure.eventlog.retention import CursorRegistry, RetentionPolicy
from infrastructure.eventlog.segment import list_segments

INTERVAL_S: Final = 30.0
_CLOSE_S: Final = 5.0
_STATUS_FILE: Final = "status.json"

_log: Final = logging.getLogger(__name__)


class ArchiveStatus(msgspec.Struct, frozen=True):
    """How the last round went, for other processes."""

    error: str | None
    blocked: str | None
    local_segments: int
    remote_segments: int


class ArchiveWorker:
    """A thread that archives what is sealed and deletes what may go."""

    def __init__(
        self,
        directory: Path,
        store: ObjectStore,
        policy: RetentionPolicy,
        cursors: CursorRegistry,
        durable: Callable[[], int],
        *,
        bytes_per_s: float | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.stats = ArchiveStats()
        self._directory = directory
        self._store = store
        self._policy = policy
        self._cursors = cursors
        self._durable = durable
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._pace = Pace(bytes_per_s, self._stop)
        self._written: ArchiveStatus | None = None
        # A daemon: a store that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="log-archiver", daemon=True)

    def start(self) -> None:
        """Begin with the first round."""
        self._thread.start()

    def close(self) -> None:
        """End; what was interrupted goes on at the next start."""
        self._stop.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while True:
            error = self.stats.last_error
            try:
                self._round()
                error = None
            except Stopped:
                return
            except ArchiveBusy:
                pass  # `kefu log archive` is at it
            except Exception as failure:  # noqa: BLE001 - shown, and tried again
                error = f"{type(failure).__name__}: {failure}"
                self.stats.failures += 1
            if error != self.stats.last_error:
                self.stats.last_error = error
                if error is None:
                    _log.warning("archiving works again")
                else:
                    _log.error("archiving fails: %s", error)
            self._tell()
            if self._stop.wait(self._interval_s):
                return

    def _round(self) -> None:
        with only_archiver(self._directory):
            upload(self._directory, self._store, self._pace, self.stats)
            expire(
                self._directory,
                self._store,
                self._policy,
                self._cursors,
                self._durable,
                pace=self._pace,
                stats=self.stats,
            )

    def _tell(self) -> None:
        """Count, and write down for other processes what changed."""
        stats = self.stats
        try:
            segments = list_segments(self._directory)
            stats.remote_segments = sum(segment.remote for segment in segments)
            stats.local_segments = len(segments) - stats.remote_segments
            status = ArchiveStatus(
                stats.last_error, stats.blocked, stats.local_segments, stats.remote_segments
            )
            if status != self._written:
                path = archive_directory(self._directory) / _STATUS_FILE
                write_durably(path, msgspec.json.encode(status))
                self._written = status
        except OSError as error:
            stats.last_error = f"{type(error).__name__}: {error}"


def read_status(directory: Path) -> ArchiveStatus | None:
    """How the last round of the process that writes a log went; None: there was none."""
    try:
        data = (archive_directory(directory) / _STATUS_FILE).read_bytes()
        return msgspec.json.decode(data, type=ArchiveStatus)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
