"""`ProjectionStore` over one views' schema: COPY, upserts, one transaction a batch."""

import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from eventsourcing.persistence import Tracking
from msgspec.structs import asdict
from psycopg import sql

from application.ports.projection_store import BadRow
from application.projections.records import (
    AgentRecord,
    ApiKeyRecord,
    Changes,
    ContactRecord,
    ConversationRecord,
    Keys,
    MessageRecord,
    Records,
)
from domain.errors import Conflict, Unavailable
from infrastructure.postgres import batches, refund_rows, schema
from infrastructure.postgres.copying import MESSAGE_COLUMNS, copy_new, upsert
from infrastructure.postgres.forgetting import Sweeper, forget
from infrastructure.postgres.kept_rows import KeptRows
from infrastructure.postgres.search import VectorTooLong, vector
from infrastructure.postgres.search_index import PENDING_LIST_LIMIT, SearchIndexMerger

TRACKING_NAME: Final = "views"
CONNECT_TIMEOUT_S: Final = 2

_CONTACT_COLUMNS: Final = (*ContactRecord.__struct_fields__, "search")

_REFUSED: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,  # an OperationalError, and yet of the data: too long
    UnicodeEncodeError,
    OverflowError,
    VectorTooLong,
)
_DOWN: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # The schema was dropped between two statements: a rebuild has switched to another.
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
)


class PostgresProjectionStore:
    """The active schema, or a named one while it is being rebuilt."""

    def __init__(self, url: str, schema_name: str | None = None) -> None:
        self._url = url
        self._fixed = schema_name
        self._merger = SearchIndexMerger(url, CONNECT_TIMEOUT_S)
        self._sweeper = Sweeper(url, CONNECT_TIMEOUT_S)
        self._unswept = False
        self._connection: schema.Connection | None = None
        self._name = ""
        self._kept = batches.KeptBatches()
        self._rows = KeptRows()

    def position(self) -> int:
        """As `ProjectionStore.position`."""
        with self._session() as connection:
            # It is asked where the last batch may have failed, or another projector was first.
            self._rows.clear()
            return self._position(connection)

    def load(self, keys: Keys) -> Records:
        """As `ProjectionStore.load`."""
        with self._session() as connection:
            return Records(
                conversations=self._conversations(connection, keys.conversations),
                messages=_messages(connection, keys.messages),
                contacts={
                    row.id: row
                    for row in _rows(connection, ContactRecord, "contacts", keys.contacts)
                },
                agents={
                    row.id: row for row in _rows(connection, AgentRecord, "agents", keys.agents)
                },
                api_keys={
                    row.id: row
                    for row in _rows(connection, ApiKeyRecord, "api_keys", keys.api_keys)
                },
                refunds=refund_rows.load_refunds(connection, keys.refunds),
                sagas=refund_rows.load_sagas(connection, keys.sagas),
            )

    def commit(self, changes: Changes, after: int, position: int) -> None:
        """As `ProjectionStore.commit`."""
        records = changes.records
        # In the order of the log: neighbours on a page are neighbours in time.
        new = [row for key, row in records.messages.items() if key in changes.new_messages]
        changed = [row for key, row in records.messages.items() if key not in changes.new_messages]
        with self._session() as connection:
            self._merger.check()
            with connection.transaction():
                self._track(connection, after, Tracking(TRACKING_NAME, position))
                vector_bytes = copy_new(connection, new)
                _write(connection, changes, changed)
                self._kept.note(connection, self._name, after, position)
            self._rows.committed(changes)
            self._merger.wrote(self._name, vector_bytes)
            if changes.forget:
                self._sweep()

    def close(self) -> None:
        """Close the connections, once the search index has been merged."""
        self._merger.close()
        if self._unswept:
            self._sweeper.sweep(self._name)
        self._sweeper.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sweep(self) -> None:
        """Let old rows go: at once, or when a rebuild has ended, which writes most of them anew."""
        if self._fixed is None:
            self._sweeper.sweep(self._name)
        else:
            self._unswept = True

    @contextmanager
    def _session(self) -> Any:
        """A connection whose search path is the schema; its errors as the port's."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
                )
                # The views can be rebuilt from the log: the log is what must not lose a second.
                self._connection.execute("SET synchronous_commit TO off")
                self._connection.execute(f"SET gin_pending_list_limit TO '{PENDING_LIST_LIMIT}'")
                self._name = ""
            self._follow_switch(self._connection)
            yield self._connection
        except _REFUSED as error:
            raise BadRow(f"{type(error).__name__}: {error}") from error
        except _DOWN as error:
            self.close()
            raise Unavailable(f"The views' database does not answer: {error}") from error

    def _follow_switch(self, connection: schema.Connection) -> None:
        name = self._fixed or (schema.active(connection) if self._name else None)
        name = name or schema.ensure(connection)
        if name != self._name:
            if self._fixed is None and schema.active_version(connection) != schema.VERSION:
                raise Unavailable("The views are of another version; run `kefu views rebuild`.")
            path = sql.SQL("SET search_path TO {}").format(sql.Identifier(name))
            connection.execute(path)
            self._name = name
            self._rows.clear()

    def _conversations(
        self, connection: schema.Connection, ids: set[str]
    ) -> dict[str, ConversationRecord]:
        found = self._rows.take(ids)
        unknown = ids - found.keys()
        for row in _rows(connection, ConversationRecord, "conversations", unknown):
            found[row.id] = row
        return found

    def _position(self, connection: schema.Connection) -> int:
        row = connection.execute(
            "SELECT position FROM tracking WHERE name = %s", (TRACKING_NAME,)
        ).fetchone()
        return int(row[0]) if row else 0

    def _track(self, connection: schema.Connection, after: int, tracking: Tracking) -> None:
        moved = connection.execute(
            "UPDATE tracking SET position = %s WHERE name = %s AND position = %s",
            (tracking.notification_id, tracking.application_name, after),
        ).rowcount
        if moved != 1:
            raise Conflict(f"the views are no longer at position {after}; another projector runs")


def _rows(connection: schema.Connection, record: Any, table: str, ids: Iterable[str]) -> list[Any]:
    wanted = list(ids)
    if not wanted:
        return []
    columns = sql.SQL(", ").join(map(sql.Identifier, record.__struct_fields__))
    query = sql.SQL("SELECT {} FROM {} WHERE id = ANY(%s)").format(columns, sql.Identifier(table))
    return [record(*row) for row in connection.execute(query, (wanted,))]


def _messages(
    connection: schema.Connection, keys: set[tuple[str, int]]
) -> dict[tuple[str, int], MessageRecord]:
    if not keys:
        return {}
    columns = sql.SQL(", ").join(sql.Identifier("m", c) for c in MessageRecord.__struct_fields__)
    query = sql.SQL(
        "SELECT {} FROM messages m JOIN unnest(%s::text[], %s::int[]) AS k(c, s)"
        " ON m.conversation_id = k.c AND m.seq = k.s"
    ).format(columns)
    conversations, seqs = zip(*keys, strict=True)
    rows = connection.execute(query, (list(conversations), list(seqs)))
    return {(row[0], row[1]): MessageRecord(*row) for row in rows}


def _write(
    connection: schema.Connection, changes: Changes, changed: Sequence[MessageRecord]
) -> None:
    """All of a batch but its tracking row and its new messages."""
    records = changes.records
    if changed:
        upsert(
            connection,
            "messages",
            MESSAGE_COLUMNS,
            [{**asdict(row), "search": vector(row.content)} for row in changed],
            key=("conversation_id", "seq"),
        )
    for table, rows in (
        ("conversations", records.conversations),
        ("agents", records.agents),
        ("api_keys", records.api_keys),
    ):
        if rows:
            values = list(rows.values())
            upsert(connection, table, values[0].__struct_fields__, values)
    if records.contacts:
        contacts = list(map(_contact_row, records.contacts.values()))
        upsert(connection, "contacts", _CONTACT_COLUMNS, contacts)
    refund_rows.write(connection, records)
    if changes.recount_unread:
        _recount(connection, changes)
    if changes.forget:
        forget(connection, list(changes.forget))
    for parked in changes.parked:
        connection.execute(
            "INSERT INTO parked_events VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (*msgspec.structs.astuple(parked), time.time_ns() // 1000),
        )


def _recount(connection: schema.Connection, changes: Changes) -> None:
    pending = dict.fromkeys(changes.recount_unread, 0)
    for id, seq in changes.unsent:
        if id in pending and seq > changes.records.conversations[id].agent_read_seq:
            pending[id] += 1
    connection.execute(
        "UPDATE conversations c SET unread_count = pending.n +"
        " (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id"
        "  AND m.seq > c.agent_read_seq AND m.author_kind = 'visitor')"
        " FROM unnest(%s::text[], %s::int[]) AS pending(id, n) WHERE c.id = pending.id",
        (list(pending), list(pending.values())),
    )


def _contact_row(row: ContactRecord) -> dict[str, Any]:
    return {**asdict(row), "search": vector(row.name, row.email, row.identifier)}
