"""Views in a real Postgres: a feed with a history, the projector's store, the reader."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from application.projections.runner import ProjectionRunner
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import FakeFeed, History


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
def catch_up(feed: FakeFeed, store: PostgresProjectionStore) -> Callable[[], ProjectionRunner]:
    """Brings the views up to date."""

    def run() -> ProjectionRunner:
        runner = ProjectionRunner(feed, store)
        runner.catch_up(feed.durable_position())
        return runner

    return run


@pytest.fixture
async def views(database_url: str) -> AsyncIterator[PostgresViews]:
    views = PostgresViews(database_url, max_connections=2)
    await views.open()
    yield views
    await views.close()
