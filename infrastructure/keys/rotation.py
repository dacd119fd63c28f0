"""Another master key: every subject's key is wrapped anew, the log is not touched.

Killed at any moment, nothing is lost: until all keys are wrapped by the new master key the source
holds both, and the next rotation goes on with the one that was begun.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import Conflict, InvalidInput
from infrastructure.keys import database
from infrastructure.keys.master import MasterKeys, MasterKeySource, new_key

Progress = Callable[[int, int], None]
"""Called with (keys done, keys in all)."""

_BATCH: Final = 1_000


class RotationReport(msgspec.Struct, frozen=True):
    """What a rotation did."""

    master_key_id: str
    """Of the master key that wraps all keys now."""
    rewrapped: int
    """Keys that another one wrapped before."""


def rotate(directory: Path, source: MasterKeySource, progress: Progress) -> RotationReport:
    """Wrap all keys with the newest master key, which is made now where the source can.

    Kefu may run meanwhile.

    Raises:
        Conflict: another rotation is running.
        InvalidInput: the source holds one key, and can't make another.
        Unavailable: the store can't be read or written; what was done stays done.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(directory / "rotation.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict("Another rotation is running; wait for its end.") from None
        connection = database.open_writing(directory)
        try:
            with database.errors(directory):
                return _rotate(connection, source, progress)
        finally:
            connection.close()
    finally:
        os.close(lock)


def _rotate(
    connection: sqlite3.Connection, source: MasterKeySource, progress: Progress
) -> RotationReport:
    keys = source.load()
    if len(keys) == 1:  # with two, an earlier rotation was interrupted, or the operator chose
        if not source.makes_keys:
            raise InvalidInput(f"Put the new key first in {source}, before the one that is there.")
        keys = [new_key(), *keys]
        source.save(keys)
    masters = MasterKeys(source)
    newest = masters.newest
    with database.transaction(connection):
        # From here on the core wraps new keys with it.
        database.put_fact(connection, database.CURRENT_MASTER, newest.id)
    where = " FROM keys WHERE destroyed_us IS NULL AND master <> ?"
    total = connection.execute("SELECT count(*)" + where, (newest.id,)).fetchone()[0]
    done = 0
    while True:
        with database.transaction(connection):
            rows = connection.execute(
                "SELECT id, master, wrapped" + where + " LIMIT ?", (newest.id, _BATCH)
            ).fetchall()
            connection.executemany(
                "UPDATE keys SET master = ?, wrapped = ? WHERE id = ?",
                [
                    (newest.id, newest.wrap(id, masters.get(master).unwrap(id, wrapped)), id)
                    for id, master, wrapped in rows
                ],
            )
        if not rows:
            break
        done += len(rows)
        progress(done, total)
    if source.makes_keys:
        source.save(keys[:1])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return RotationReport(newest.id, done)
