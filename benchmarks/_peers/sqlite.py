"""The SQLite recorder of the `eventsourcing` library, on a file, flushing at every commit."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks._peers.peer import Load, Sample, Unavailable
from benchmarks._peers.recorder import insert_batches, library

_FULL = 2


class SQLiteRecorderPeer:
    """One producer: SQLite has one writer at a time."""

    name: ClassVar[str] = "eventsourcing_sqlite"
    loads: ClassVar[Sequence[Load]] = [
        Load(batch) for batch in (10, 100, 500, 1_000, 5_000, 20_000)
    ]
    fsync_policy: ClassVar[str] = "WAL with synchronous FULL: fsync at every commit"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "events.sqlite"

    def __enter__(self) -> Self:
        self._datastore = SQLiteDatastore(str(self._path))
        recorder = SQLiteApplicationRecorder(self._datastore)
        recorder.create_table()
        self._recorder = recorder
        found = self._pragma("journal_mode"), self._pragma("synchronous")
        if found != ("wal", _FULL):
            self._datastore.close()
            raise Unavailable(f"journal_mode and synchronous are {found}, not WAL and FULL")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._datastore.close()

    def version(self) -> str:
        """Of the database and the library."""
        return f"SQLite {sqlite3.sqlite_version}, {library()}"

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        """`insert_events`, a transaction a batch."""
        return insert_batches(self._recorder, load, event_bytes, seconds)

    def _pragma(self, name: str) -> object:
        """A setting of a connection of the pool that the recorder uses."""
        with self._datastore.transaction(commit=True) as cursor:
            cursor.execute(f"PRAGMA {name}")
            return cursor.fetchone()[0]
