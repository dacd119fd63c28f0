"""The sandbox's tables (SQLite)."""

import sqlite3
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS orders (
    reference TEXT PRIMARY KEY, total_minor INTEGER NOT NULL, currency TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operations (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    operation TEXT NOT NULL,
    order_reference TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    first_answer BLOB NOT NULL, -- what a repeated call gets
    answer BLOB NOT NULL,       -- how it stands now: what a look-up gets
    next_us INTEGER,            -- when it changes by itself; NULL: it does not
    next_status TEXT,           -- to what
    next_code TEXT,
    reverse_after_s REAL,       -- and how long after that it is reversed
    reverse_code TEXT,
    callback BLOB NOT NULL      -- how its callbacks go out
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changing ON operations (next_us) WHERE next_us IS NOT NULL;
CREATE TABLE IF NOT EXISTS payouts (
    key TEXT PRIMARY KEY,
    refund_id TEXT NOT NULL,
    order_reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,        -- pending, settled, failed, reversed
    at_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_order ON payouts (order_reference);
CREATE TABLE IF NOT EXISTS actions (
    action_key TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    refund_id TEXT,
    order_reference TEXT NOT NULL,
    amount_minor INTEGER,
    currency TEXT,
    state TEXT NOT NULL,        -- done, undone, null: compensated before it arrived
    undo_id TEXT,
    at_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    operation TEXT NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (key, operation)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS callbacks (
    id TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    due_us INTEGER,             -- NULL: delivered
    copies INTEGER NOT NULL,    -- still to be delivered
    attempts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due ON callbacks (due_us) WHERE due_us IS NOT NULL;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """The database, made if it is missing; what is committed is on disk, also after a power loss.

    The caller begins and commits its transactions itself; commits may be made by another thread.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.executescript(_SCHEMA)
    return database
