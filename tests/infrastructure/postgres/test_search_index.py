"""The index of messages' texts is merged beside the projector's transactions."""

from collections.abc import Callable

import psycopg
import pytest

from application.ports.views import ConversationFilter
from application.projections.runner import ProjectionRunner
from domain.errors import Unavailable
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import FakeFeed, History

CatchUp = Callable[[], ProjectionRunner]


def _say_much(history: History) -> None:
    """More than the merger lets lie."""
    for number in range(90):
        history.visitor_says("c1", " ".join(f"w{number}x{n}" for n in range(2_000)))


def _pages_to_merge(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT gin_clean_pending_list('kefu_views_1.messages_search_idx')"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_few_messages_are_not_worth_a_merge(
    history: History, store: PostgresProjectionStore, catch_up: CatchUp, database_url: str
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "hello")
    catch_up()
    store.close()
    assert _pages_to_merge(database_url) > 0


async def test_many_messages_are_merged_and_found_before_and_after(
    history: History,
    store: PostgresProjectionStore,
    catch_up: CatchUp,
    database_url: str,
    views: PostgresViews,
) -> None:
    history.conversation("c1")
    _say_much(history)
    catch_up()
    for _ in range(2):
        for text in ("w0x0", "w89x1999"):
            found = await views.list_conversations(ConversationFilter(q=text), 10, None)
            assert [row.id for row in found.data] == ["c1"]
        store.close()  # which waits for the merge
    assert _pages_to_merge(database_url) == 0


def test_a_merge_that_fails_is_an_outage_at_the_next_batch_which_then_counts_once(
    feed: FakeFeed, history: History, store: PostgresProjectionStore, database_url: str
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "hello")
    runner = ProjectionRunner(feed, store)
    runner.catch_up(feed.durable_position())
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("ALTER INDEX kefu_views_1.messages_search_idx RENAME TO elsewhere")
        _say_much(history)
        runner.catch_up(feed.durable_position())  # its merge finds no index
        store._merger.wait()
        history.visitor_says("c1", "after")
        with pytest.raises(Unavailable):
            runner.step()
        other.execute("ALTER INDEX kefu_views_1.elsewhere RENAME TO messages_search_idx")
    runner.catch_up(feed.durable_position())
    assert store.position() == feed.durable_position()
