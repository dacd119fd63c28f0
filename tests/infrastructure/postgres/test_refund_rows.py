"""Rows of refunds and sagas in a real Postgres."""

from application.projections.records import (
    Changes,
    Keys,
    Records,
    RefundPolicyRecord,
    RefundRecord,
    SagaRecord,
)
from domain.refund.events import RefundLine
from domain.saga.state import Saga
from infrastructure.postgres.projection_store import PostgresProjectionStore


def test_refunds_and_sagas_come_back_as_they_were_stored_and_changed(
    store: PostgresProjectionStore,
) -> None:
    lines = (RefundLine("sku-1", 2, 1_000), RefundLine('杯子 "2"', 1))
    refund = RefundRecord(
        "r1",
        "requested",
        "c1",
        "p1",
        "o-1",
        9_900,
        "CNY",
        "坏了 \\N\t",
        lines,
        ["a,b"],
        "a1",
        1,
        1,
        1,
    )
    data: dict[str, str | int | None] = {"zulu": 1, "alpha": "x"}
    saga = SagaRecord(Saga("s1", "refund", 1, "c1", data=data), 1, 1)
    policy = RefundPolicyRecord("CNY", 1_000, 50_000, None, 1)
    store.position()
    changed = Changes(
        records=Records(refunds={"r1": refund}, sagas={"s1": saga}, refund_policies={"CNY": policy})
    )
    store.commit(changed, after=0, position=1)
    refund.status, refund.given_up = "failed", ["inventory"]
    saga.updated_us = 2
    store.commit(changed, after=1, position=2)
    found = store.load(Keys(refunds={"r1", "r9"}, sagas={"s1"}))
    assert (found.refunds, found.sagas) == ({"r1": refund}, {"s1": saga})
    assert list(found.sagas["s1"].state.data) == ["zulu", "alpha"]
