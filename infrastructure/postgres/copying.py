"""Many rows at once: COPY into a table, or into staging and an upsert from there."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from psycopg import sql

from application.projections.records import MessageRecord
from infrastructure.postgres import schema
from infrastructure.postgres.search import binary_vector

MESSAGE_COLUMNS: Final = (*MessageRecord.__struct_fields__, "search")
_MESSAGE_TYPES: Final = (
    *("text", "int4", "text", "text", "text", "text", "text"),
    *("bool", "int8", "int8", "int8", "int8"),
    "bytea",  # psycopg has no tsvector, and passes bytes on as they are
)
_MAX_INT4: Final = 2**31 - 1

Row = Sequence[Any]


def copy_new(connection: schema.Connection, rows: Sequence[MessageRecord]) -> int:
    """Insert messages, by far the most rows; binary COPY costs both sides less than text.

    Returns:
        Bytes of their search vectors.

    Raises:
        OverflowError: a number is out of its column's range.
        VectorTooLong: a text has too many lexemes.
    """
    if not rows:
        return 0
    vector_bytes = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(_copy_query("messages", MESSAGE_COLUMNS, "BINARY")) as copy,
    ):
        copy.set_types(_MESSAGE_TYPES)
        for row in rows:
            if not ~_MAX_INT4 <= row.seq <= _MAX_INT4:
                raise OverflowError(f"seq {row.seq} is out of range")  # psycopg would cut it
            lexemes = binary_vector(row.content)
            vector_bytes += len(lexemes)
            copy.write_row((*msgspec.structs.astuple(row), lexemes))
    return vector_bytes


def copy_rows(
    connection: schema.Connection, table: str, columns: Sequence[str], rows: Iterable[Row]
) -> None:
    with connection.cursor() as cursor, cursor.copy(_copy_query(table, columns)) as copy:
        for row in rows:
            copy.write_row(row)


def _copy_query(table: str, columns: Sequence[str], format: str = "TEXT") -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})")
    return query.format(sql.Identifier(table), names, sql.SQL(format))


def upsert(
    connection: schema.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Row],
    key: Sequence[str] = ("id",),
) -> None:
    staging = f"staging_{table}"
    connection.execute(
        sql.SQL(
            "CREATE TEMP TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
        ).format(sql.Identifier(staging), sql.Identifier(table))
    )
    copy_rows(connection, staging, columns, rows)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    updates = sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(c)) for c in columns if c not in key
    )
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
            sql.Identifier(table),
            names,
            names,
            sql.Identifier(staging),
            sql.SQL(", ").join(map(sql.Identifier, key)),
            updates,
        )
    )
