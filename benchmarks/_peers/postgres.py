"""The Postgres recorder of the `eventsourcing` library, on the embedded Postgres.

Batches end at 500 events: the recorder sends a batch as one pipeline, and with 5,000 events client
and server wait for each other for ever (eventsourcing 9.5.6, psycopg 3.3.9, one connection too).
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psycopg
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from benchmarks._peers.peer import Load, Sample, Unavailable
from benchmarks._peers.recorder import insert_batches, library
from domain.errors import Unavailable as NoPostgres
from infrastructure.postgres.embedded import EmbeddedPostgres

_TIMEOUT_S = 30


class PostgresRecorderPeer:
    """Two producers are tried too: one prepares a batch while the other's is committed."""

    name: ClassVar[str] = "eventsourcing_postgres"
    loads: ClassVar[Sequence[Load]] = [
        Load(batch, producers) for producers in (1, 2) for batch in (10, 100, 250, 500)
    ]
    fsync_policy: ClassVar[str] = "synchronous_commit on, fsync on: WAL flushed at every commit"

    def __init__(self, directory: Path) -> None:
        self._server = EmbeddedPostgres(directory / "postgres")

    def __enter__(self) -> Self:
        try:
            self._server.start()
        except NoPostgres as error:
            raise Unavailable(str(error)) from error
        try:
            self._set_up()
        except BaseException:
            self._server.stop()
            raise
        return self

    def _set_up(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            # For our views it is off; a setting of the database is stronger than the server's.
            connection.execute("ALTER DATABASE postgres SET synchronous_commit = on")
        given = conninfo_to_dict(self._server.url)
        self._datastore = PostgresDatastore(
            str(given["dbname"]),
            str(given["host"]),
            "",
            str(given["user"]),
            "",
            pool_size=max(load.producers for load in self.loads),
            lock_timeout=_TIMEOUT_S,
            idle_in_transaction_session_timeout=_TIMEOUT_S,
        )
        self._recorder = PostgresApplicationRecorder(
            self._datastore, events_table_name="stored_events"
        )
        self._recorder.create_table()
        found = self._show("synchronous_commit"), self._show("fsync")
        if found != ("on", "on"):
            self._datastore.close()
            raise Unavailable(f"synchronous_commit and fsync are {found}, not on")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._datastore.close()
        self._server.stop()

    def version(self) -> str:
        """Of the database and the library."""
        return f"PostgreSQL {self._show('server_version')}, {library()}"

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        """`insert_events`, a transaction a batch."""
        return insert_batches(self._recorder, load, event_bytes, seconds)

    def _show(self, setting: str) -> str:
        """A setting as a connection of the recorder's pool has it."""
        with self._datastore.transaction() as cursor:
            cursor.execute("SELECT current_setting(%s) AS value", (setting,))
            row = cursor.fetchone()
        assert row is not None
        return str(row["value"])
