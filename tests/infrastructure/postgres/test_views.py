"""The Postgres adapter keeps the contract of `Views`."""

from collections.abc import Awaitable, Callable

import pytest

from application.ports.views import ConversationFilter, Views
from application.projections.runner import ProjectionRunner
from domain.errors import Unavailable
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import History
from tests.contracts.views import ViewsContract


class TestPostgresViews(ViewsContract):
    """All of the contract."""

    @pytest.fixture
    def history(self, history: History) -> History:
        return history

    @pytest.fixture
    def project(
        self, history: History, views: PostgresViews, catch_up: Callable[[], ProjectionRunner]
    ) -> Callable[[], Awaitable[Views]]:
        async def bring_up_to_date() -> Views:
            assert catch_up().stats.parked == 0
            return views

        return bring_up_to_date


async def test_before_the_first_projector_the_views_are_unavailable(views: PostgresViews) -> None:
    with pytest.raises(Unavailable):
        await views.list_conversations(ConversationFilter(), 10, None)
    with pytest.raises(Unavailable):
        await views.position()
    with pytest.raises(Unavailable):
        await views.wait_for(1, 0.05)
