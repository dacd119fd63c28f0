"""The Postgres adapter keeps the contract of `Views`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from application.ports.views import ConversationFilter, Views
from application.projections.runner import ProjectionRunner
from domain.errors import Unavailable
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import FakeFeed, History
from tests.contracts.views import ViewsContract


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture
def history(feed: FakeFeed) -> History:
    return History(feed.append)


@pytest.fixture
def store(database_url: str) -> Iterator[PostgresProjectionStore]:
    store = PostgresProjectionStore(database_url)
    yield store
    store.close()


@pytest.fixture
async def views(database_url: str) -> AsyncIterator[PostgresViews]:
    views = PostgresViews(database_url, max_connections=2)
    await views.open()
    yield views
    await views.close()


@pytest.fixture
def project(
    feed: FakeFeed, store: PostgresProjectionStore, views: PostgresViews
) -> Callable[[], Awaitable[Views]]:
    async def bring_up_to_date() -> Views:
        runner = ProjectionRunner(feed, store)
        store.position()  # makes the schema
        runner.catch_up(feed.durable_position())
        assert runner.stats.parked == 0
        return views

    return bring_up_to_date


class TestPostgresViews(ViewsContract):
    """All of the contract."""

    @pytest.fixture
    def history(self, history: History) -> History:
        return history

    @pytest.fixture
    def project(
        self, project: Callable[[], Awaitable[Views]], history: History
    ) -> Callable[[], Awaitable[Views]]:
        return project


async def test_before_the_first_projector_the_views_are_unavailable(views: PostgresViews) -> None:
    with pytest.raises(Unavailable):
        await views.list_conversations(ConversationFilter(), 10, None)
    with pytest.raises(Unavailable):
        await views.position()
    with pytest.raises(Unavailable):
        await views.wait_for(1, 0.05)
