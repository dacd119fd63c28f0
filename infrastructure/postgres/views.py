"""`Views` over Postgres, for the web process."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from application.ports.views import (
    AgentRow,
    ApiKeyRow,
    ContactRow,
    ConversationFilter,
    ConversationRow,
    MessageRow,
    Page,
    Projection,
    WantedPage,
)
from domain.actors import Role, Scope
from domain.errors import InvalidInput, Unavailable
from infrastructure.postgres import batches, queries, search
from infrastructure.postgres.position_waiters import PositionWaiters
from infrastructure.postgres.refund_queries import PostgresRefundViews

_TIMEOUT_S: Final = 2.0
_STATEMENT_TIMEOUT_MS: Final = 5_000
_ANSWER_TIMEOUT_S: Final = 8.0
"""Beyond the two above: a server that is reachable and says nothing."""
_POLL_S: Final = 0.005


class PostgresViews(PostgresRefundViews):
    """Reads the stable names of the schema `kefu`; opens its connections in `open`."""

    def __init__(self, url: str, *, max_connections: int = 8) -> None:
        self._pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=max_connections,
            open=False,
            timeout=_TIMEOUT_S,
            max_waiting=500,
            reconnect_timeout=2.0,
            kwargs={
                "autocommit": True,
                "connect_timeout": 2,
                "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_MS}",
            },
            check=AsyncConnectionPool.check_connection,
        )
        self._waiters = PositionWaiters()
        self._poller: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to connect; returns at once, whether there is a database or not."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close all connections."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait((self._poller,))
        await self._pool.close()

    async def list_conversations(
        self, filter: ConversationFilter, limit: int, cursor: str | None
    ) -> Page[ConversationRow]:
        """As `Views.list_conversations`."""
        where: list[str] = []
        values: dict[str, Any] = {"limit": limit + 1}
        if filter.status is not None:
            where.append("c.status = %(status)s")
            values["status"] = filter.status.value
        if filter.assignee == "none":
            where.append("c.assignee_id IS NULL")
        elif filter.assignee is not None:
            where.append("c.assignee_id = %(assignee)s")
            values["assignee"] = filter.assignee
        if filter.label is not None:
            where.append("%(label)s = ANY(c.labels)")
            values["label"] = filter.label
        if filter.q is not None and filter.q.strip():
            values["q"] = search.query(filter.q)
            if values["q"] is None:
                return Page([], None)
            where.append(queries.MATCHING)
        if cursor is not None:
            values["time"], values["id"] = queries.decode_cursor(cursor)
            where.append("(c.updated_us, c.id) < (%(time)s, %(id)s)")
        clause = " WHERE " + " AND ".join(where) if where else ""
        order = " ORDER BY c.updated_us DESC, c.id DESC LIMIT %(limit)s"
        rows = await self._fetch(queries.CONVERSATION + clause + order, values)
        data = [queries.conversation(row) for row in rows[:limit]]
        more = len(rows) > limit
        after = queries.encode_cursor(data[-1].updated_at_us, data[-1].id) if more else None
        return Page(data, after)

    async def conversation(self, id: str) -> ConversationRow | None:
        """As `Views.conversation`."""
        found = await self.conversations([id])
        return found[0] if found else None

    async def conversations(self, ids: list[str]) -> list[ConversationRow]:
        """As `Views.conversations`."""
        ids = [id for id in ids if queries.is_text(id)]
        rows = await self._fetch(queries.CONVERSATION + " WHERE c.id = ANY(%s)", (ids,))
        return [queries.conversation(row) for row in rows]

    async def messages(
        self,
        conversation_id: str,
        *,
        after_seq: int | None = None,
        before_seq: int | None = None,
        limit: int,
        include_private: bool,
    ) -> list[MessageRow]:
        """As `Views.messages`."""
        if not queries.is_text(conversation_id):
            return []
        backwards = before_seq is not None
        where = "m.conversation_id = %(id)s AND m.seq > %(after)s"
        where += " AND m.seq < %(before)s" if backwards else ""
        where += "" if include_private else " AND NOT m.private"
        rows = await self._fetch(
            f"SELECT {queries.MESSAGE} FROM kefu.messages m WHERE {where}"
            f" ORDER BY m.seq {'DESC' if backwards else 'ASC'} LIMIT %(limit)s",
            {
                "id": conversation_id,
                "after": _int4(after_seq or 0),
                "before": _int4(before_seq or 0),
                "limit": limit,
            },
        )
        found = [message for row in rows if (message := queries.message(row)) is not None]
        return found[::-1] if backwards else found

    async def message_pages(
        self, wanted: Sequence[WantedPage], limit: int
    ) -> list[list[MessageRow]]:
        """As `Views.message_pages`."""
        pages: list[list[MessageRow]] = [[] for _ in wanted]
        sought = [(n, one) for n, one in enumerate(wanted) if queries.is_text(one.conversation_id)]
        rows = await self._fetch(
            queries.MESSAGE_PAGES,
            {
                "numbers": [number for number, _ in sought],
                "ids": [one.conversation_id for _, one in sought],
                "after": [_int4(one.after_seq) for _, one in sought],
                "private": [one.include_private for _, one in sought],
                "limit": limit,
            },
        )
        for number, *row in rows:
            message = queries.message(row)
            if message is not None:
                pages[number].append(message)
        return pages

    async def contacts(self, q: str | None, limit: int, cursor: str | None) -> Page[ContactRow]:
        """As `Views.contacts`."""
        where: list[str] = []
        values: dict[str, Any] = {"limit": limit + 1}
        if q is not None and q.strip():
            values["q"] = search.query(q)
            if values["q"] is None:
                return Page([], None)
            where.append("search @@ %(q)s::tsquery")
        if cursor is not None:
            values["time"], values["id"] = queries.decode_cursor(cursor)
            where.append("(created_us, id) < (%(time)s, %(id)s)")
        clause = " WHERE " + " AND ".join(where) if where else ""
        order = " ORDER BY created_us DESC, id DESC LIMIT %(limit)s"
        rows = await self._fetch(queries.CONTACT + clause + order, values)
        data = [queries.contact(row) for row in rows[:limit]]
        more = len(rows) > limit
        after = queries.encode_cursor(data[-1].created_at_us, data[-1].id) if more else None
        return Page(data, after)

    async def contact(self, id: str) -> ContactRow | None:
        """As `Views.contact`."""
        if not queries.is_text(id):
            return None
        rows = await self._fetch(queries.CONTACT + " WHERE id = %s", (id,))
        return queries.contact(rows[0]) if rows else None

    async def agents(self) -> list[AgentRow]:
        """As `Views.agents`."""
        rows = await self._fetch(
            "SELECT id, email, name, role, active, created_us FROM kefu.agents ORDER BY name, id",
            (),
        )
        return [AgentRow(r[0], r[1], r[2], Role(r[3]), r[4], r[5]) for r in rows]

    async def agent(self, id: str) -> AgentRow | None:
        """As `Views.agent`."""
        return next((agent for agent in await self.agents() if agent.id == id), None)

    async def api_keys(self) -> list[ApiKeyRow]:
        """As `Views.api_keys`."""
        rows = await self._fetch(
            "SELECT id, name, scopes, created_us, revoked_us FROM kefu.api_keys"
            " ORDER BY created_us DESC, id",
            (),
        )
        return [ApiKeyRow(r[0], r[1], tuple(map(Scope, r[2])), r[3], r[4]) for r in rows]

    async def position(self) -> int:
        """As `Views.position`."""
        rows = await self._fetch("SELECT position FROM kefu.tracking", ())
        return int(rows[0][0]) if rows else 0

    async def projection_of(self, position: int) -> Projection:
        """As `Views.projection_of`."""
        rows = await self._fetch(batches.PROJECTION_OF, {"position": position})
        return Projection(*rows[0]) if rows else Projection(0)

    async def wait_for(self, position: int, timeout_s: float) -> None:
        """As `Views.wait_for`; all waiters share one poller."""
        waiters = self._waiters
        if position <= waiters.position:
            return
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="views-position")
        try:
            await waiters.wait(position, timeout_s)
        except TimeoutError:
            raise Unavailable(
                f"The views are at position {waiters.position}, not yet at {position}."
            ) from None

    async def snoozed_due(self, now_us: int, limit: int) -> list[str]:
        """As `Views.snoozed_due`."""
        rows = await self._fetch(
            "SELECT id FROM kefu.conversations WHERE status = 'snoozed'"
            " AND snoozed_until_us <= %s ORDER BY snoozed_until_us LIMIT %s",
            (now_us, limit),
        )
        return [row[0] for row in rows]

    async def _poll(self) -> None:
        while self._waiters:
            try:
                self._waiters.moved(await self.position())
            except Unavailable:
                await asyncio.sleep(0.1)
                self._waiters.moved(self._waiters.position)
                continue
            await asyncio.sleep(_POLL_S)

    async def _fetch(self, query: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S), self._pool.connection() as connection:
                cursor = await connection.execute(query.encode(), values)
                return await cursor.fetchall()
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,  # the views of another version, until their rebuild
            psycopg.errors.InvalidSchemaName,
            PoolTimeout,
            TooManyRequests,
            TimeoutError,
        ) as error:
            raise Unavailable("The views are not available at the moment; try again.") from error
        except (psycopg.DataError, UnicodeEncodeError) as error:
            raise InvalidInput("The request holds characters that no text may hold.") from error


def _int4(value: int) -> int:
    return max(0, min(value, 2**31 - 1))
