"""How far the views are, for the retention of the log."""

import psycopg
from psycopg import sql

from domain.errors import Unavailable
from infrastructure.postgres.projection_store import CONNECT_TIMEOUT_S

_GENERATION = "kefu_views_"


def view_positions(url: str) -> dict[str, int]:
    """Schema -> position, of every generation of views: the active one and those being built.

    Before the first generation is made, the views need everything: position 0.

    Raises:
        Unavailable: the database does not answer, or not as expected.
    """
    try:
        with (
            psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection,
            connection.transaction(),
        ):
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if connection.execute("SELECT to_regclass('kefu.schemas')").fetchone() == (None,):
                return {"views": 0}
            rows = connection.execute("SELECT number FROM kefu.schemas").fetchall()
            return {name: _position(connection, name) for name in _names(rows)} or {"views": 0}
    except psycopg.Error as error:
        raise Unavailable(f"The positions of the views can't be read: {error}") from error


def _names(rows: list[tuple[int]]) -> list[str]:
    return [f"{_GENERATION}{number}" for (number,) in rows]


def _position(connection: "psycopg.Connection[tuple[int]]", name: str) -> int:
    query = sql.SQL("SELECT min(position) FROM {}").format(sql.Identifier(name, "tracking"))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
