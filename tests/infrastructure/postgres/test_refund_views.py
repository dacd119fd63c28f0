"""The Postgres adapter keeps the contract of `RefundViews`; its tables are equal to a rebuild."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest

from application.ports.refund_views import RefundViews
from application.projections.runner import ProjectionRunner
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.verify import verify
from infrastructure.postgres.views import PostgresViews
from tests.application.projections import sagas
from tests.application.projections.fakes import FakeFeed, History
from tests.contracts.refund_views import RefundViewsContract

Run = Callable[[], ProjectionRunner]


class TestPostgresRefundViews(RefundViewsContract):
    """All of the contract."""

    @pytest.fixture
    def history(self, history: History) -> History:
        return history

    @pytest.fixture
    def project(
        self, history: History, views: PostgresViews, catch_up: Run
    ) -> Callable[[], Awaitable[RefundViews]]:
        async def bring_up_to_date() -> RefundViews:
            assert catch_up().stats.parked == 0
            return views

        return bring_up_to_date


@pytest.mark.parametrize("batch_events", [1, 7])
def test_rows_that_were_loaded_and_folded_on_are_those_of_a_rebuild(
    history: History,
    feed: FakeFeed,
    store: PostgresProjectionStore,
    database_url: str,
    batch_events: int,
) -> None:
    sagas.policy(history)
    history.contact("p1", "李雷")
    history.conversation("c1")
    for id, tell in (("1", sagas.completed), ("2", sagas.compensated), ("3", sagas.parked)):
        sagas.request(history, id)
        sagas.approve(history, id)
        for event in tell(id).events:
            history.happens(f"saga-{id}", event)
    sagas.request(history, "4")
    sagas.reject(history, "4")
    sagas.erase(history)
    sagas.request(history, "5", "c2")
    runner = ProjectionRunner(feed, store, batch_events=batch_events)
    runner.catch_up(feed.durable_position())
    report = verify(database_url, feed, lambda done, total: None)
    assert report.ok, report.differences
    assert (report.tables["refunds"].rows, report.tables["sagas"].rows) == (5, 3)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT r::text FROM kefu.refunds r").fetchall()
    assert sum(sagas.ASKED in row[0] for row in rows) == 1  # of the contact that is not erased
    assert not any("杯子没碎" in row[0] for row in rows)
