"""Rows that the projector keeps from one batch to the next."""

import psycopg
import pytest

from application.projections.records import Changes, ConversationRecord, Keys, Records
from application.projections.runner import ProjectionRunner
from domain.errors import Conflict
from infrastructure.postgres.kept_rows import KeptRows
from infrastructure.postgres.projection_store import PostgresProjectionStore
from tests.application.projections.fakes import FakeFeed, History


def _changes(*ids: str) -> Changes:
    rows = {id: ConversationRecord(id, "p1", False, 0, 0) for id in ids}
    return Changes(records=Records(conversations=rows))


def test_a_row_that_was_taken_is_gone_until_its_batch_is_committed() -> None:
    rows = KeptRows()
    rows.committed(_changes("c1", "c2"))
    assert set(rows.take(["c1", "c9"])) == {"c1"}
    assert rows.take(["c1"]) == {}
    rows.committed(_changes("c1"))
    assert set(rows.take(["c1", "c2"])) == {"c1", "c2"}


def test_a_row_whose_messages_the_database_counts_is_not_kept() -> None:
    rows = KeptRows()
    changes = _changes("c1", "c2")
    changes.recount_unread.add("c1")
    rows.committed(changes)
    assert set(rows.take(["c1", "c2"])) == {"c2"}


def test_the_rows_that_changed_longest_ago_go_first() -> None:
    rows = KeptRows(capacity=2)
    rows.committed(_changes("c1"))
    rows.committed(_changes("c2", "c3"))
    assert set(rows.take(["c1", "c2", "c3"])) == {"c2", "c3"}


def test_the_next_batch_does_not_read_what_the_last_one_wrote(
    feed: FakeFeed, history: History, store: PostgresProjectionStore, database_url: str
) -> None:
    history.conversation("c1")
    runner = ProjectionRunner(feed, store)
    runner.step()
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("UPDATE kefu.conversations SET priority = 'low'")
    kept = store.load(Keys(conversations={"c1"})).conversations["c1"]
    assert kept.priority is None
    assert store.load(Keys(conversations={"c1"})).conversations["c1"].priority == "low"


def test_nothing_is_kept_when_another_projector_was_first(
    feed: FakeFeed, history: History, store: PostgresProjectionStore, database_url: str
) -> None:
    history.conversation("c1")
    ProjectionRunner(feed, store).step()
    history.visitor_says("c1", "hello")
    other = PostgresProjectionStore(database_url)
    ProjectionRunner(feed, other).step()
    other.close()
    with pytest.raises(Conflict):
        store.commit(Changes(), after=1, position=9)
    history.visitor_says("c1", "again")
    ProjectionRunner(feed, store).step()
    store.position()  # it forgets the rows that it keeps
    row = store.load(Keys(conversations={"c1"})).conversations["c1"]
    assert (row.last_seq, row.unread_count) == (2, 2)
