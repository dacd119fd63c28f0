"""When a batch was projected: kept for the newest batches, and never guessed for another."""

import time
from collections.abc import Callable

import psycopg

from application.projections.runner import ProjectionRunner
from infrastructure.postgres.batches import KeptBatches
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.rebuild import rebuild
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import FakeFeed, History


def batches(url: str) -> list[tuple[int, int]]:
    with psycopg.connect(url) as connection:
        query = "SELECT after, position FROM kefu.batches ORDER BY position"
        return connection.execute(query).fetchall()


async def test_every_event_of_a_batch_has_the_time_of_its_commit(
    feed: FakeFeed, history: History, database_url: str, views: PostgresViews
) -> None:
    history.conversation("c1")
    for number in range(5):
        history.visitor_says("c1", f"message {number}")
    store = PostgresProjectionStore(database_url)
    ProjectionRunner(feed, store, batch_events=4).catch_up(feed.durable_position())
    store.close()
    assert batches(database_url) == [(0, 4), (4, 8), (8, 11)]
    found = [await views.projection_of(position) for position in range(1, 12)]
    times = [one.committed_us or 0 for one in found]
    assert len(set(times)) == 3
    assert times == sorted(times)
    assert abs(times[0] - time.time_ns() // 1000) < 60_000_000
    ahead = await views.projection_of(12)
    assert (ahead.position, ahead.committed_us) == (11, None)


async def test_an_event_whose_batch_is_no_longer_kept_has_no_time(
    feed: FakeFeed, history: History, database_url: str, views: PostgresViews
) -> None:
    history.conversation("c1")
    for number in range(20):
        history.visitor_says("c1", f"message {number}")
    store = PostgresProjectionStore(database_url)
    store._kept = KeptBatches(kept=5, prune_every=1)
    ProjectionRunner(feed, store, batch_events=2).catch_up(feed.durable_position())
    store.close()
    assert len(batches(database_url)) == 5
    assert (await views.projection_of(1)).committed_us is None
    assert (await views.projection_of(41)).committed_us is not None


async def test_rebuilt_views_have_times_of_their_own(
    feed: FakeFeed,
    history: History,
    catch_up: Callable[[], ProjectionRunner],
    database_url: str,
    views: PostgresViews,
) -> None:
    history.conversation("c1")
    feed.append_raw("conversation-c1", "conversation.from_the_future.v1", b"{}")
    catch_up()
    before = await views.projection_of(1)
    rebuild(database_url, feed, lambda done, total: None)
    after = await views.projection_of(1)
    assert (after.committed_us or 0) > (before.committed_us or 0)
    assert batches(database_url) == [(0, 2)]
    assert ((await views.projection_of(2)).parked or "").startswith("UnknownEventType")
