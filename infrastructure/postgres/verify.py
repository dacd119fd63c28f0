"""Comparing the views with what the log says: a rebuild beside them, and checksums of both.

The shadow is built to the position of the running views while the projector pauses for the last
few events; both are then read in one snapshot. The checksums are Postgres's own work: rows are
hashed and gathered, in the order of their keys, into 4,096 buckets, so neither side ever holds a
table in memory, and only the rows of buckets that differ are compared one by one.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from application.ports.event_store import EventFeed, RecordedEvent
from application.projections.runner import ProjectionRunner
from application.sealing import IN_CLEAR, Opener
from domain.errors import Unavailable
from infrastructure.postgres import schema
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.rebuild import Progress, connect

BUCKETS: Final = 4_096
MAX_DIFFERENCES: Final = 100
"""Of each table that are named; all are counted."""
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "contacts": ("id",),
    "conversations": ("id",),
    "messages": ("conversation_id", "seq"),
    "agents": ("id",),
    "api_keys": ("id",),
    "refunds": ("id",),
    "refund_policies": ("currency",),
    "sagas": ("id",),
    "parked_events": ("position",),
}
"""Every table of the views but `tracking`, whose position is what both sides are compared at."""
_NOT_FROM_THE_LOG: Final = {"parked_events": {"parked_us"}}
_NEAR_EVENTS: Final = 1_000
_TRIES: Final = 100


class Difference(msgspec.Struct, frozen=True):
    """A row that is not as the log says."""

    table: str
    key: dict[str, Any]
    kind: str
    """`missing`, `extra` or `changed`."""
    columns: list[str]
    """Those that differ, of a changed row."""


class TableReport(msgspec.Struct, frozen=True):
    """One table. Checksums are SHA-256 in hex."""

    rows: int
    checksum: str
    expected_rows: int
    expected_checksum: str
    differences: int


class ViewsReport(msgspec.Struct, frozen=True):
    """What the comparison found."""

    schema: str
    position: int
    ok: bool
    tables: dict[str, TableReport]
    differences: list[Difference]


def verify(url: str, feed: EventFeed, progress: Progress, opener: Opener = IN_CLEAR) -> ViewsReport:
    """Compare the running views with a rebuild at the same position; changes neither log nor views.

    Needs as much room in the database as the views have. The running projector pauses for a moment.

    Raises:
        Conflict: a rebuild is running.
        Unavailable: the database does not answer, or the views are too busy.
    """
    with connect(url) as connection, schema.only_rebuild(connection):
        schema.ensure(connection)
        for leftover in schema.inactive(connection):
            schema.drop(connection, leftover)
        name = schema.active(connection)
        assert name is not None
        shadow = schema.create(connection)
        try:
            bounded = _BoundedFeed(feed)
            with closing(PostgresProjectionStore(url, shadow)) as store:
                runner = ProjectionRunner(bounded, store, opener=opener)
                total = _position(connection, name)
                bounded.end = total
                runner.catch_up(total, lambda done: progress(done, total))
                with _same_position(connection, url, name, runner, bounded) as (snapshot, position):
                    return _compare(snapshot, name, shadow, position)
        finally:
            schema.drop(connection, shadow)


class _BoundedFeed:
    """The log up to a position, so that the shadow stops where the views are."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self.end = 0

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        return self._feed.read(after, min(limit, self.end - after)) if after < self.end else []

    def durable_position(self) -> int:
        return self.end

    def wait(self, after: int, timeout_s: float) -> int:
        """Nothing comes by itself: the end is moved by whoever verifies."""
        return self.end


@contextmanager
def _same_position(
    connection: schema.Connection,
    url: str,
    name: str,
    runner: ProjectionRunner,
    feed: "_BoundedFeed",
) -> Iterator[tuple[schema.Connection, int]]:
    """A connection with a snapshot in which both sets of views hold one position."""
    with connect(url) as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield reader, _meet(connection, reader, name, runner, feed)


def _meet(
    connection: schema.Connection,
    reader: schema.Connection,
    name: str,
    runner: ProjectionRunner,
    feed: "_BoundedFeed",
) -> int:
    for _ in range(_TRIES):
        while (ahead := _position(connection, name)) - feed.end > _NEAR_EVENTS:
            feed.end = ahead
            runner.catch_up(ahead)
        try:
            with connection.transaction():
                feed.end = schema.hold(connection)
                runner.catch_up(feed.end)
                reader.execute("SELECT 1")  # takes the snapshot, while nobody can move on
                return feed.end
        except psycopg.errors.LockNotAvailable:
            continue
    raise Unavailable("The views are too busy to be compared; do it at a quieter time.")


def _position(connection: schema.Connection, name: str) -> int:
    query = sql.SQL("SELECT position FROM {}").format(sql.Identifier(name, "tracking"))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _compare(connection: schema.Connection, name: str, shadow: str, position: int) -> ViewsReport:
    tables: dict[str, TableReport] = {}
    differences: list[Difference] = []
    for table, key in KEYS.items():
        columns = _columns(connection, shadow, table)
        found = _buckets(connection, name, table, key, columns)
        expected = _buckets(connection, shadow, table, key, columns)
        buckets = [b for b in found.keys() | expected.keys() if found.get(b) != expected.get(b)]
        count = 0
        if buckets:
            count, named = _differences(connection, (name, shadow), table, columns, buckets)
            differences += named
        tables[table] = TableReport(*_summary(found), *_summary(expected), count)
    ok = all(found.checksum == found.expected_checksum for found in tables.values())
    return ViewsReport(name, position, ok, tables, differences)


_Buckets = dict[int, tuple[int, bytes]]
"""Bucket -> rows, and the hash over their hashes in the order of their keys."""


def _columns(connection: schema.Connection, name: str, table: str) -> list[str]:
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (name, table),
    ).fetchall()
    return [row[0] for row in rows if row[0] not in _NOT_FROM_THE_LOG.get(table, ())]


def _buckets(
    connection: schema.Connection,
    name: str,
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
) -> _Buckets:
    query = sql.SQL(
        "SELECT bucket, count(*), sha256(string_agg(digest, ''::bytea ORDER BY {order})) FROM ("
        " SELECT {key}, {bucket} AS bucket,"
        " sha256(convert_to(ROW({columns})::text, 'UTF8')) AS digest FROM {table} t) hashed"
        " GROUP BY bucket"
    ).format(
        order=sql.SQL(", ").join(_ordered(column) for column in key),
        key=sql.SQL(", ").join(sql.Identifier(column) for column in key),
        bucket=_bucket(key),
        columns=sql.SQL(", ").join(sql.Identifier(column) for column in columns),
        table=sql.Identifier(name, table),
    )
    return {row[0]: (row[1], bytes(row[2])) for row in connection.execute(query)}


def _summary(buckets: _Buckets) -> tuple[int, str]:
    digest = sha256()
    for bucket in sorted(buckets):
        digest.update(bucket.to_bytes(2, "big") + buckets[bucket][1])
    return sum(rows for rows, _ in buckets.values()), digest.hexdigest()


def _differences(
    connection: schema.Connection,
    names: tuple[str, str],
    table: str,
    columns: Sequence[str],
    buckets: Sequence[int],
) -> tuple[int, list[Difference]]:
    """How many rows differ in these buckets, and the first of them by key."""
    key = KEYS[table]
    found, expected = (
        sql.SQL("(SELECT * FROM {} t WHERE {} = ANY(%(buckets)s))").format(
            sql.Identifier(name, table), _bucket(key)
        )
        for name in names
    )
    changed = sql.SQL(", ").join(
        sql.SQL("CASE WHEN a.{0} IS DISTINCT FROM b.{0} THEN {1} END").format(
            sql.Identifier(column), sql.Literal(column)
        )
        for column in columns
    )
    keys = sql.SQL(", ").join(map(sql.Identifier, key))
    query = sql.SQL(
        "SELECT count(*) OVER (), a.{first} IS NULL, b.{first} IS NULL,"
        " array_remove(ARRAY[{changed}], NULL), {keys}"
        " FROM {found} a FULL JOIN {expected} b USING ({keys})"
        " WHERE a.{first} IS NULL OR b.{first} IS NULL OR cardinality("
        "array_remove(ARRAY[{changed}], NULL)) > 0 ORDER BY {keys} LIMIT %(limit)s"
    ).format(
        first=sql.Identifier(key[0]), changed=changed, keys=keys, found=found, expected=expected
    )
    values = {"buckets": list(buckets), "limit": MAX_DIFFERENCES}
    rows = connection.execute(query, values).fetchall()
    named = [
        Difference(
            table,
            dict(zip(key, row[4:], strict=True)),
            "missing" if row[1] else "extra" if row[2] else "changed",
            [] if row[1] or row[2] else row[3],
        )
        for row in rows
    ]
    return (rows[0][0] if rows else 0), named


def _bucket(key: Sequence[str]) -> sql.Composed:
    """The first 12 bits of a hash of a row's key: the same on every machine."""
    parts = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column)) for column in key)
    return sql.SQL("('x' || left(md5(concat_ws('/', {})), 3))::bit(12)::int").format(parts)


def _ordered(column: str) -> sql.Composed:
    return sql.SQL('{}::text COLLATE "C"').format(sql.Identifier(column))
