"""Rebuilding the views beside the running ones, and looking at their state."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import psycopg
from psycopg import sql

from application.ports.event_store import EventFeed
from application.projections.runner import ProjectionRunner
from application.sealing import IN_CLEAR, Opener
from domain.errors import Unavailable
from infrastructure.postgres import forgetting, schema
from infrastructure.postgres.projection_store import CONNECT_TIMEOUT_S, PostgresProjectionStore

Progress = Callable[[int, int], None]
"""Called with (positions done, positions in all)."""

_NEAR_EVENTS: Final = 1_000
_SWITCH_TRIES: Final = 100
_COUNTED = ("conversations", "messages", "contacts", "agents", "api_keys", "refunds", "sagas")


class ParkedRow(msgspec.Struct, frozen=True):
    """A parked event and why."""

    position: int
    stream: str
    type: str
    error: str


class ViewsStatus(msgspec.Struct, frozen=True):
    """The views at a glance."""

    schema: str
    position: int
    durable_position: int
    lag: int
    rows: dict[str, int]
    parked: list[ParkedRow]


def status(url: str, feed: EventFeed) -> ViewsStatus:
    """Where the views are.

    Raises:
        Unavailable: the database does not answer.
    """
    durable = feed.durable_position()
    with connect(url) as connection:
        name = schema.ensure(connection)
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(name)))
        row = connection.execute("SELECT position FROM tracking").fetchone()
        position = int(row[0]) if row else 0
        rows = {}
        for table in _COUNTED:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            count = connection.execute(query).fetchone()
            rows[table] = int(count[0]) if count else 0
        parked = connection.execute(
            "SELECT position, stream, type, error FROM parked_events ORDER BY position LIMIT 100"
        ).fetchall()
    return ViewsStatus(
        name, position, durable, max(0, durable - position), rows, [ParkedRow(*p) for p in parked]
    )


def rebuild(
    url: str, feed: EventFeed, progress: Progress, opener: Opener = IN_CLEAR
) -> ViewsStatus:
    """Build a new set of views from the log, switch to it when it has caught up, drop the old.

    Readers and the running projector go on with the old set until the switch, after which no
    reader sees less than before.

    Raises:
        Conflict: another rebuild is running.
        Unavailable: the database does not answer; the old views are as they were.
    """
    with connect(url) as connection, schema.only_rebuild(connection):
        schema.ensure(connection)
        for leftover in schema.inactive(connection):
            schema.drop(connection, leftover)
        name = schema.create(connection)
        store = PostgresProjectionStore(url, name)
        try:
            runner = ProjectionRunner(feed, store, opener=opener)
            total = feed.durable_position()
            runner.catch_up(total, lambda done: progress(done, total))
            before = _switch(connection, name, runner, feed)
        finally:
            store.close()
        if before is not None:
            schema.drop(connection, before)
            forgetting.settle(connection)
    return status(url, feed)


def _switch(
    connection: schema.Connection, name: str, runner: ProjectionRunner, feed: EventFeed
) -> str | None:
    for _ in range(_SWITCH_TRIES):
        # Events went on meanwhile; go after them until the end is in sight.
        while feed.durable_position() - runner.stats.position > _NEAR_EVENTS:
            runner.catch_up(feed.durable_position())
        try:
            with connection.transaction():
                runner.catch_up(schema.hold(connection))
                return schema.activate(connection, name)
        except psycopg.errors.LockNotAvailable:
            continue
    raise Unavailable("The views are too busy for the switch; rebuild at a quieter time.")


@contextmanager
def connect(url: str) -> Iterator[schema.Connection]:
    """A connection that commits by itself; its errors as the port's."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(f"The views' database does not answer: {error}") from error
