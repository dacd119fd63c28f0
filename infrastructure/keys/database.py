"""The SQLite file of subjects' keys: its tables, and how it is opened for writing and reading."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.errors import Unavailable
from infrastructure.keys.master import sync_directory

FILE: Final = "subjects.sqlite3"
_BUSY_S: Final = 30.0
"""A rotation writes 1,000 keys in one transaction; nothing else holds the lock for long."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL UNIQUE,
    master TEXT,
    wrapped BLOB NOT NULL,
    made_us INTEGER NOT NULL,
    destroyed_us INTEGER
);
CREATE INDEX IF NOT EXISTS keys_of_master ON keys (master) WHERE destroyed_us IS NULL;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

CURRENT_MASTER: Final = "current_master"
"""Id of the master key that wraps new keys."""
CHECKED_POSITION: Final = "checked_position"
"""Keys of all subjects that were erased up to here are destroyed."""


def open_writing(directory: Path) -> sqlite3.Connection:
    """The core's connection, or a rotation's; makes what is missing.

    Every commit is flushed to the disk, and what is overwritten or deleted is overwritten with
    zeros (https://www.sqlite.org/pragma.html#pragma_secure_delete).
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / FILE
    with errors(path):
        # SQLite gives the mode of this file to the two beside it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = _connect(f"file:{_quoted(path)}?mode=rw")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(_TABLES)
        sync_directory(directory)
    return connection


def open_reading(directory: Path) -> sqlite3.Connection:
    """A connection that can't write.

    Raises:
        Unavailable: there is no such file.
    """
    path = directory / FILE
    if not path.exists():
        raise Unavailable(f"There are no keys of data subjects in {path}; restore them.")
    with errors(path):
        return _connect(f"file:{_quoted(path)}?mode=ro")


@contextmanager
def errors(path: Path) -> Iterator[None]:
    """SQLite's errors, and the disk's, as ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"The keys of data subjects in {path}: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def fact(connection: sqlite3.Connection, name: str) -> str | None:
    """One of the few single values."""
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def put_fact(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Change one of them."""
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _connect(uri: str) -> sqlite3.Connection:
    # Used under a lock from several threads; transactions are begun by name.
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
