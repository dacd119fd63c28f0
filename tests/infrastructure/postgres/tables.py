"""Whole tables of the views, for comparing one set of views with another."""

import hashlib

import psycopg
from psycopg import sql

TABLES = (
    *("contacts", "conversations", "messages", "agents", "api_keys"),
    *("refunds", "refund_policies", "sagas"),
)


def active_schema(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT number FROM kefu.schemas WHERE active").fetchone()
    assert row is not None
    return f"kefu_views_{row[0]}"


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'kefu_views_%'"
        ).fetchall()
    return {row[0] for row in rows}


def checksum(url: str, schema: str = "kefu") -> dict[str, str]:
    """A digest of each table of rows in all their columns, search vectors included."""
    found = {}
    with psycopg.connect(url) as connection:
        for table in TABLES:
            query = sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(
                sql.Identifier(schema, table)
            )
            digest = hashlib.sha256()
            for (row,) in connection.execute(query):
                digest.update(row.encode() + b"\n")
            found[table] = digest.hexdigest()
    return found
