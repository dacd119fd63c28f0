"""Taking an erased contact's texts out of the views, and out of what Postgres keeps of old rows.

An UPDATE leaves the old row in its page until VACUUM, and VACUUM frees the place without
overwriting it; a GIN index keeps its words. A small table is therefore written anew (VACUUM FULL),
a large one is vacuumed, and the rest goes with the next `kefu views rebuild` (docs/howto/privacy.md
says what remains until when).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg
import structlog
from psycopg import sql

from domain.refund.events import POLICY
from infrastructure.postgres import schema

_log = structlog.get_logger(__name__)

_TABLES: Final = ("messages", "contacts", "parked_events", "refunds")
_SMALL_BYTES: Final = 32 << 20
"""Of a table with its indexes: written anew within some seconds, for which its readers wait."""
_LOCK_TIMEOUT: Final = "5s"

_FORGET_MESSAGES: Final = (
    "UPDATE messages SET content = '', search = '', author_name ="
    " CASE author_kind WHEN 'visitor' THEN '' ELSE author_name END"
    " WHERE conversation_id = ANY(%s) AND (content <> '' OR author_kind = 'visitor')"
)
_FORGET_REFUNDS: Final = (
    f"UPDATE refunds SET reason = '', rejection_reason = CASE WHEN decided_by = '{POLICY}'"
    " OR rejection_reason IS NULL THEN rejection_reason ELSE '' END"
    " WHERE conversation_id = ANY(%s)"
)
"""As `RefundRecord.forget`."""
_FORGET_PARKED: Final = "UPDATE parked_events SET error = split_part(error, ':', 1)"
"""A database's complaint about a value may quote it. Nearly always there is no such row."""


def forget(connection: schema.Connection, conversation_ids: Sequence[str]) -> None:
    """Empty what was said in conversations and why money was asked back, within the transaction of
    a batch."""
    connection.execute(_FORGET_MESSAGES, (list(conversation_ids),))
    connection.execute(_FORGET_REFUNDS, (list(conversation_ids),))
    connection.execute(_FORGET_PARKED)


def settle(connection: schema.Connection) -> None:
    """Let go of files and write-ahead log that hold what was dropped or overwritten.

    Where the role may not do that, the server does it at its own checkpoints.
    """
    try:
        connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
    except psycopg.errors.InsufficientPrivilege:
        _log.info("views.no_checkpoint", detail="the database's own checkpoint comes later")


class Sweeper:
    """Sweeps after erasures, in a thread beside the projector; many at once are one sweep."""

    def __init__(self, url: str, connect_timeout_s: int) -> None:
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: set[str] = set()

    def sweep(self, schema_name: str) -> None:
        """Tell of a committed erasure."""
        if schema_name in self._waiting:
            return
        self._waiting.add(schema_name)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "sweeper")
        self._thread.submit(self._run, schema_name)

    def close(self) -> None:
        """Wait for what is running, and do what is waiting."""
        if self._thread is not None:
            self._thread.shutdown()
        self._thread = None

    def _run(self, schema_name: str) -> None:
        self._waiting.discard(schema_name)
        try:
            with psycopg.connect(
                self._url, autocommit=True, connect_timeout=self._connect_timeout_s
            ) as connection:
                connection.execute(f"SET lock_timeout TO '{_LOCK_TIMEOUT}'")
                for table in _TABLES:
                    _vacuum(connection, sql.Identifier(schema_name, table))
                settle(connection)
        except psycopg.Error as error:
            # A rebuild dropped the schema, or autovacuum comes to it.
            _log.warning("views.sweep_failed", schema=schema_name, error=str(error).strip())


def _vacuum(connection: schema.Connection, table: sql.Identifier) -> None:
    size = connection.execute(
        "SELECT pg_total_relation_size(%s::regclass)", (table.as_string(connection),)
    ).fetchone()
    if size is not None and size[0] <= _SMALL_BYTES:
        try:
            connection.execute(sql.SQL("VACUUM (FULL) {}").format(table))
            return
        except psycopg.errors.LockNotAvailable:
            pass  # its readers are busy; the other way locks nobody out
    connection.execute(sql.SQL("VACUUM {}").format(table))
