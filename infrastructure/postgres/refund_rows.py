"""Rows of refunds, of their policies and of sagas, as the projector loads and writes them."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from psycopg import sql

from application.projections.records import (
    Records,
    RefundPolicyRecord,
    RefundRecord,
    SagaRecord,
)
from domain.refund.events import RefundLine
from domain.saga.state import Saga
from infrastructure.postgres import schema
from infrastructure.postgres.copying import upsert

_decode_saga: Final = msgspec.json.Decoder(Saga).decode
_LINES: Final = tuple[RefundLine, ...]
_LINES_AT: Final = RefundRecord.__struct_fields__.index("lines")
_SAGA_COLUMNS: Final = (
    *("id", "definition", "status", "conversation_id", "next_timer_us"),
    *("started_us", "updated_us", "state"),
)


def load_refunds(connection: schema.Connection, ids: Collection[str]) -> dict[str, RefundRecord]:
    """Those of the refunds that exist."""
    if not ids:
        return {}
    columns = sql.SQL(", ").join(map(sql.Identifier, RefundRecord.__struct_fields__))
    query = sql.SQL("SELECT {} FROM refunds WHERE id = ANY(%s)").format(columns)
    found = {}
    for row in connection.execute(query, (list(ids),)):
        values = list(row)
        values[_LINES_AT] = lines(values[_LINES_AT])
        found[row[0]] = RefundRecord(*values)
    return found


def load_sagas(connection: schema.Connection, ids: Collection[str]) -> dict[str, SagaRecord]:
    """Those of the sagas that exist."""
    if not ids:
        return {}
    query = "SELECT id, state, started_us, updated_us FROM sagas WHERE id = ANY(%s)"
    rows = connection.execute(query, (list(ids),))
    return {id: SagaRecord(saga(state), *times) for id, state, *times in rows}


def lines(stored: object) -> tuple[RefundLine, ...]:
    """Lines of a refund from their JSON."""
    return msgspec.convert(stored, _LINES)


def saga(stored: str) -> Saga:
    """A saga's state from its JSON."""
    return _decode_saga(stored)


def write(connection: schema.Connection, records: Records) -> None:
    """Within the transaction of a batch."""
    if records.refunds:
        refunds = list(records.refunds.values())
        upsert(connection, "refunds", RefundRecord.__struct_fields__, refunds)
    if records.refund_policies:
        policies = list(records.refund_policies.values())
        columns = RefundPolicyRecord.__struct_fields__
        upsert(connection, "refund_policies", columns, policies, key=("currency",))
    if records.sagas:
        sagas = list(map(_saga_row, records.sagas.values()))
        upsert(connection, "sagas", _SAGA_COLUMNS, sagas)


def _saga_row(row: SagaRecord) -> dict[str, Any]:
    state = row.state
    timer = state.timer
    return {
        "id": state.id,
        "definition": state.definition,
        "status": state.status.value,
        "conversation_id": state.conversation_id,
        "next_timer_us": None if timer is None else timer.at_us,
        "started_us": row.started_us,
        "updated_us": row.updated_us,
        "state": msgspec.json.encode(state).decode(),
    }
