"""The views' schemas: one per rebuild, and stable names that readers use.

Tables live in `kefu_views_<n>`. The schema `kefu` has a view of each, which a switch replaces in
one transaction, so that readers change over between two statements.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg import sql

from domain.errors import Conflict
from infrastructure.postgres.batches import TABLE as BATCHES

STABLE: Final = "kefu"
TABLES: Final = (
    "tracking",
    "parked_events",
    "contacts",
    "conversations",
    "messages",
    "agents",
    "api_keys",
    "refunds",
    "refund_policies",
    "sagas",
)
VERSION: Final = 3
"""Of views.sql: another one means that the views are rebuilt."""
_LOCK: Final = 0x6B656675  # "kefu": one projector changes schemas at a time
_HOLD_TIMEOUT: Final = "5s"
"""For a batch of the projector to end."""
_SWITCH_TIMEOUT: Final = "200ms"
"""Readers lock the stable names in an order of their own. Giving up before `deadlock_timeout` (1 s)
means that the switch is tried again, and never that a reader's query fails."""

Connection = psycopg.Connection[Any]


def ensure(connection: Connection) -> str:
    """Make the schemas where they are missing.

    Returns:
        Name of the active schema.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(STABLE)))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS kefu.schemas ("
            " number integer PRIMARY KEY, version integer NOT NULL, active boolean NOT NULL)"
        )
        connection.execute(BATCHES)
        name = active(connection)
        if name is None:
            name = create(connection)
            activate(connection, name)
    return name


def active(connection: Connection) -> str | None:
    """Name of the active schema."""
    row = connection.execute("SELECT number FROM kefu.schemas WHERE active").fetchone()
    return _name(row[0]) if row else None


def active_version(connection: Connection) -> int:
    """Version of the active schema's tables."""
    row = connection.execute("SELECT version FROM kefu.schemas WHERE active").fetchone()
    return int(row[0]) if row else 0


def create(connection: Connection) -> str:
    """A new, empty set of tables beside the active one."""
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO kefu.schemas SELECT coalesce(max(number), 0) + 1, %s, false"
            " FROM kefu.schemas RETURNING number",
            (VERSION,),
        ).fetchone()
        assert row is not None
        name = _name(row[0])
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(name)))
        # The file is ours; it holds several statements, which need the simple protocol.
        script = files(__package__).joinpath("sql/views.sql").read_text()
        connection.execute(script.encode())
        connection.execute("INSERT INTO tracking VALUES ('views', 0)")
    return name


@contextmanager
def only_rebuild(connection: Connection) -> Iterator[None]:
    """Be the one rebuild of this database meanwhile.

    Raises:
        Conflict: another one is running.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s, 1)", (_LOCK,)).fetchone()
    if row is None or not row[0]:
        raise Conflict("Another rebuild is running; wait for its end.")
    try:
        yield
    finally:
        # The end of the connection would do it, some time after the next one has begun.
        with suppress(psycopg.Error):
            connection.execute("SELECT pg_advisory_unlock(%s, 1)", (_LOCK,))


def hold(connection: Connection) -> int:
    """Let nobody move the active schema's position until the end of the transaction.

    Returns:
        That position.

    Raises:
        LockNotAvailable: a batch takes too long; roll back, and try again.
    """
    name = active(connection)
    assert name is not None
    tracking = sql.Identifier(name, "tracking")
    connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(_HOLD_TIMEOUT))
    connection.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(tracking))
    row = connection.execute(sql.SQL("SELECT position FROM {}").format(tracking)).fetchone()
    return int(row[0]) if row else 0


def activate(connection: Connection, name: str) -> str | None:
    """Let readers see this schema from now on.

    Returns:
        Name of the schema that was active before.

    Raises:
        LockNotAvailable: readers are at work; try again.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(_SWITCH_TIMEOUT))
        before = active(connection)
        connection.execute("UPDATE kefu.schemas SET active = (number = %s)", (_number(name),))
        for table in TABLES:
            stable = sql.Identifier(STABLE, table)
            connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(stable))
            connection.execute(
                sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(
                    stable, sql.Identifier(name, table)
                )
            )
    return before


def drop(connection: Connection, name: str) -> None:
    """Remove a schema that is not active."""
    with connection.transaction():
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
        connection.execute("DELETE FROM kefu.schemas WHERE number = %s", (_number(name),))
        connection.execute("DELETE FROM kefu.batches WHERE number = %s", (_number(name),))


def inactive(connection: Connection) -> list[str]:
    """Schemas of interrupted rebuilds."""
    rows = connection.execute("SELECT number FROM kefu.schemas WHERE NOT active").fetchall()
    return [_name(number) for (number,) in rows]


def _name(number: int) -> str:
    return f"kefu_views_{number}"


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])
