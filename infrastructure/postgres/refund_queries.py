"""`RefundViews` over Postgres, a part of `PostgresViews`."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from application.ports.refund_views import (
    Person,
    RefundFilter,
    RefundRow,
    SagaFilter,
    SagaRow,
)
from application.ports.views import Page
from domain.refund.events import POLICY, ApprovalRule
from domain.refund.policy import RefundPolicy
from domain.refund.refund import RefundStatus
from domain.saga.state import Status
from infrastructure.postgres import queries, refund_rows

_REFUND: Final = (
    "SELECT r.id, r.status, r.conversation_id, r.contact_id, r.order_reference, r.amount_minor,"
    " r.currency, r.reason, r.lines, r.evidence, r.requested_by, r.decided_by, r.rule,"
    " r.rejection_code, r.rejection_reason, r.reference, r.failure, r.given_up, r.created_us,"
    " r.updated_us, r.position, s.status, coalesce(a.name, k.name), d.name,"
    " p.automatic_up_to_minor, p.four_eyes_above_minor, p.agent_daily_minor"
    " FROM kefu.refunds r LEFT JOIN kefu.sagas s ON s.id = r.id"
    " LEFT JOIN kefu.agents a ON r.requested_by = 'agent:' || a.id"
    " LEFT JOIN kefu.api_keys k ON r.requested_by = 'api_key:' || k.id"
    " LEFT JOIN kefu.agents d ON r.decided_by = 'agent:' || d.id"
    " LEFT JOIN kefu.refund_policies p ON p.currency = r.currency"
)


class PostgresRefundViews:
    """What `PostgresViews` inherits."""

    @abstractmethod
    async def _fetch(self, query: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]: ...

    async def refunds(
        self, filter: RefundFilter, limit: int, cursor: str | None
    ) -> Page[RefundRow]:
        """As `RefundViews.refunds`."""
        where: list[str] = []
        values: dict[str, Any] = {"limit": limit + 1}
        for column, value in (
            ("status", filter.status and filter.status.value),
            ("conversation_id", filter.conversation_id),
            ("order_reference", filter.order_reference),
        ):
            if value is not None:
                where.append(f"r.{column} = %({column})s")
                values[column] = value
        if cursor is not None:
            values["time"], values["id"] = queries.decode_cursor(cursor)
            where.append("(r.created_us, r.id) < (%(time)s, %(id)s)")
        order = " ORDER BY r.created_us DESC, r.id DESC LIMIT %(limit)s"
        rows = await self._fetch(_REFUND + _where(where) + order, values)
        data = [_refund(row) for row in rows[:limit]]
        more = len(rows) > limit
        after = queries.encode_cursor(data[-1].created_at_us, data[-1].id) if more else None
        return Page(data, after)

    async def refund(self, id: str) -> RefundRow | None:
        """As `RefundViews.refund`."""
        found = await self.refunds_by_id([id])
        return found[0] if found else None

    async def refunds_by_id(self, ids: list[str]) -> list[RefundRow]:
        """As `RefundViews.refunds_by_id`."""
        ids = [id for id in ids if queries.is_text(id)]
        rows = await self._fetch(_REFUND + " WHERE r.id = ANY(%s)", (ids,))
        return [_refund(row) for row in rows]

    async def refund_policies(self) -> list[RefundPolicy]:
        """As `RefundViews.refund_policies`."""
        rows = await self._fetch(
            "SELECT currency, automatic_up_to_minor, four_eyes_above_minor, agent_daily_minor"
            " FROM kefu.refund_policies ORDER BY currency",
            (),
        )
        return [_policy(row[0], row[1:]) for row in rows]

    async def sagas(self, filter: SagaFilter, limit: int, cursor: str | None) -> Page[SagaRow]:
        """As `RefundViews.sagas`."""
        where: list[str] = []
        values: dict[str, Any] = {"limit": limit + 1}
        for column, value in (
            ("status", filter.status and filter.status.value),
            ("definition", filter.definition),
            ("conversation_id", filter.conversation_id),
        ):
            if value is not None:
                where.append(f"{column} = %({column})s")
                values[column] = value
        if filter.started_until_us is not None:
            where.append("started_us <= %(until)s")
            values["until"] = filter.started_until_us
        if cursor is not None:
            values["time"], values["id"] = queries.decode_cursor(cursor)
            where.append("(started_us, id) > (%(time)s, %(id)s)")
        rows = await self._fetch(
            "SELECT state, started_us, updated_us FROM kefu.sagas"
            f"{_where(where)} ORDER BY started_us, id LIMIT %(limit)s",
            values,
        )
        data = [SagaRow(refund_rows.saga(row[0]), row[1], row[2]) for row in rows[:limit]]
        more = len(rows) > limit
        after = queries.encode_cursor(data[-1].started_at_us, data[-1].saga.id) if more else None
        return Page(data, after)


def _where(conditions: Sequence[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""


def _refund(row: Any) -> RefundRow:
    (asker, decider, *limits) = row[22:]
    return RefundRow(
        id=row[0],
        status=RefundStatus(row[1]),
        conversation_id=row[2],
        contact_id=row[3],
        order_reference=row[4],
        amount_minor=row[5],
        currency=row[6],
        reason=row[7],
        lines=refund_rows.lines(row[8]),
        evidence=tuple(row[9]),
        requested_by=_person(row[10], asker),
        decided_by=_person(row[11], decider) if row[11] is not None else None,
        rule=ApprovalRule(row[12]) if row[12] is not None else None,
        rejection_code=row[13],
        rejection_reason=row[14],
        reference=row[15],
        failure=row[16],
        given_up=tuple(row[17]),
        created_at_us=row[18],
        updated_at_us=row[19],
        position=row[20],
        saga_status=Status(row[21]) if row[21] is not None else None,
        policy=_policy(row[6], limits),
    )


def _policy(currency: str, limits: Sequence[int | None]) -> RefundPolicy:
    automatic, four_eyes, daily = limits
    if automatic is None or four_eyes is None:
        return RefundPolicy(currency)
    return RefundPolicy(currency, automatic, four_eyes, daily, True)


def _person(stored: str, name: str | None) -> Person:
    if stored == POLICY:
        return Person(POLICY, POLICY, POLICY)
    kind, _, id = stored.partition(":")
    return Person(kind, id, name or ("kefu" if kind == "system" else ""))
