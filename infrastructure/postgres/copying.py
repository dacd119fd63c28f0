"""Many rows at once: COPY of what is new, an upsert of what may be there."""

from collections.abc import Sequence
from functools import lru_cache
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

_ROWS_AT_ONCE: Final = 1_000
"""In one parameter, which must be less than 1 GB."""

_COPY_MESSAGES: Final = (
    sql.SQL("COPY messages ({}) FROM STDIN (FORMAT BINARY)")
    .format(sql.SQL(", ").join(map(sql.Identifier, MESSAGE_COLUMNS)))
    .as_bytes()
)

_encode: Final = msgspec.json.Encoder().encode


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
        cursor.copy(_COPY_MESSAGES) as copy,
    ):
        copy.set_types(_MESSAGE_TYPES)
        for row in rows:
            if not ~_MAX_INT4 <= row.seq <= _MAX_INT4:
                raise OverflowError(f"seq {row.seq} is out of range")  # psycopg would cut it
            lexemes = binary_vector(row.content)
            vector_bytes += len(lexemes)
            copy.write_row((*msgspec.structs.astuple(row), lexemes))
    return vector_bytes


def upsert(
    connection: schema.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[Any],
    key: tuple[str, ...] = ("id",),
) -> None:
    """Insert rows, or put them in place of those with their key.

    As JSON, which costs us a tenth of COPY's row by row, and both sides one round trip in place of
    four: with a batch of few events that was most of it.

    Args:
        rows: Structs or dicts that have the columns' names; no key twice.

    Source: https://www.postgresql.org/docs/current/functions-json.html, `json_populate_recordset`.
    """
    query = _upsert_query(table, columns, key)
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(query, (_encode(rows[at : at + _ROWS_AT_ONCE]).decode(),))


@lru_cache
def _upsert_query(table: str, columns: tuple[str, ...], key: tuple[str, ...]) -> bytes:
    # Once, and not for each batch: putting it together takes as long as its round trip.
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    updates = sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(c)) for c in columns if c not in key
    )
    return (
        sql.SQL(
            "INSERT INTO {0} ({1}) SELECT {1} FROM json_populate_recordset(NULL::{0}, %s::json)"
            " ON CONFLICT ({2}) DO UPDATE SET {3}"
        )
        .format(sql.Identifier(table), names, sql.SQL(", ").join(map(sql.Identifier, key)), updates)
        .as_bytes()
    )
