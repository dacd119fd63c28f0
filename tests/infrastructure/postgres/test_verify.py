"""Views and a rebuild at the same position: equal checksums, and every difference by its name."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application import codec
from application.ports.event_store import ANY_VERSION, StreamAppend
from application.projections.runner import ProjectionRunner
from domain.errors import Conflict
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.postgres import schema
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.rebuild import rebuild
from infrastructure.postgres.verify import KEYS, MAX_DIFFERENCES, ViewsReport, verify
from tests.application.projections.fakes import METADATA, FakeFeed, Happening, History
from tests.infrastructure.postgres.tables import active_schema, schemas
from tests.infrastructure.postgres.test_rebuild import _projecting as projecting

CatchUp = Callable[[], ProjectionRunner]
CONVERSATIONS = ("c1", "c2")


def silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def tell(history: History, happenings: list[tuple[str, int, str]]) -> None:
    """A history of two conversations, from what hypothesis makes up."""
    history.contact("p1", "李雷", "li@example.cn", "user-7")
    history.agent("a1", "韩梅梅")
    history.api_key("k1", "erp")
    said = dict.fromkeys(CONVERSATIONS, 0)
    for id in CONVERSATIONS:
        history.conversation(id)
    for what, number, text in happenings:
        id = CONVERSATIONS[number % 2]
        seq = 1 + number % max(1, said[id])
        if what == "visitor":
            said[id] = history.visitor_says(id, text)
        elif what == "agent":
            said[id] = history.agent_says(id, text, private=number % 3 == 0)
        elif said[id] == 0:
            continue
        elif what == "edit":
            history.edit(id, seq, text)
        elif what == "recall":
            history.recall(id, seq)
        else:
            history.agent_reads(id, seq)


HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["visitor", "agent", "edit", "recall", "read"]),
        st.integers(0, 20),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    ),
    max_size=30,
)


@given(HAPPENINGS, st.integers(1, 9))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_rebuild_from_nothing_has_equal_checksums_whatever_the_history_and_its_batches(
    database_url: str, happenings: list[tuple[str, int, str]], batch_events: int
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in schemas(database_url):
            schema.drop(connection, name)
    feed = FakeFeed()
    tell(History(feed.append), happenings)
    store = PostgresProjectionStore(database_url)
    ProjectionRunner(feed, store, batch_events=batch_events).catch_up(feed.durable_position())
    store.close()
    before = verify(database_url, feed, silent)
    assert (before.ok, before.differences) == (True, [])
    assert before.position == feed.durable_position()
    for table in before.tables.values():
        assert (table.rows, table.checksum) == (table.expected_rows, table.expected_checksum)
    rebuild(database_url, feed, silent)
    assert verify(database_url, feed, silent).tables == before.tables
    assert len(schemas(database_url)) == 1


@pytest.fixture
def told(history: History, catch_up: CatchUp) -> None:
    tell(history, [("visitor", n, f"第{n}条 message {n}") for n in range(40)])
    catch_up()


DAMAGE: list[tuple[str, dict[str, Any], str, list[str]]] = [
    (
        "UPDATE kefu.messages SET content = 'rewritten' WHERE conversation_id = 'c2' AND seq = 3",
        {"conversation_id": "c2", "seq": 3},
        "changed",
        ["content"],
    ),
    (
        "DELETE FROM kefu.messages WHERE conversation_id = 'c1' AND seq = 20",
        {"conversation_id": "c1", "seq": 20},
        "missing",
        [],
    ),
    (
        "INSERT INTO kefu.agents VALUES ('intruder', 'i@x.io', 'I', 'admin', true, 1)",
        {"id": "intruder"},
        "extra",
        [],
    ),
    (
        "UPDATE kefu.conversations SET unread_count = 0, labels = '{vip}' WHERE id = 'c1'",
        {"id": "c1"},
        "changed",
        ["labels", "unread_count"],
    ),
    (
        "UPDATE kefu.contacts SET search = 'x'::tsvector",
        {"id": "p1"},
        "changed",
        ["search"],
    ),
]


@pytest.mark.parametrize(("statement", "key", "kind", "columns"), DAMAGE)
@pytest.mark.usefixtures("told")
def test_a_manipulated_row_is_found_and_named(
    feed: FakeFeed,
    database_url: str,
    statement: str,
    key: dict[str, Any],
    kind: str,
    columns: list[str],
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())
    report = verify(database_url, feed, silent)
    assert not report.ok
    (found,) = report.differences
    assert found.table in statement
    assert (found.key, found.kind, found.columns) == (key, kind, columns)
    rebuild(database_url, feed, silent)
    assert verify(database_url, feed, silent).ok


@pytest.mark.usefixtures("told")
def test_many_differences_are_counted_and_the_first_are_named(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    for number in range(2 * MAX_DIFFERENCES):
        history.visitor_says("c1", f"more {number}")
    catch_up()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE kefu.messages SET private = true")
    report = verify(database_url, feed, silent)
    assert report.tables["messages"].differences == 40 + 2 * MAX_DIFFERENCES
    assert len(report.differences) == MAX_DIFFERENCES


@pytest.mark.usefixtures("told")
def test_views_that_are_behind_the_log_are_compared_where_they_are(
    feed: FakeFeed, history: History, database_url: str
) -> None:
    at = feed.durable_position()
    history.visitor_says("c1", "not projected yet")
    seen: list[tuple[int, int]] = []
    report = verify(database_url, feed, lambda done, total: seen.append((done, total)))
    assert (report.ok, report.position) == (True, at)
    assert seen[-1] == (at, at)


@pytest.mark.usefixtures("told")
def test_a_parked_event_is_expected_to_be_parked(
    feed: FakeFeed, catch_up: CatchUp, database_url: str
) -> None:
    feed.append_raw("conversation-c1", "conversation.from_the_future.v1", b"{}")
    catch_up()
    assert verify(database_url, feed, silent).ok
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM kefu.parked_events")
    (found,) = verify(database_url, feed, silent).differences
    assert (found.table, found.kind) == ("parked_events", "missing")


@pytest.mark.usefixtures("told")
def test_neither_the_views_nor_a_running_rebuild_are_touched(
    feed: FakeFeed, database_url: str
) -> None:
    def verify_again(done: int, total: int) -> None:
        with pytest.raises(Conflict):
            verify(database_url, feed, silent)

    before = active_schema(database_url)
    rebuild(database_url, feed, verify_again)
    report: ViewsReport = verify(database_url, feed, silent)
    assert report.schema == active_schema(database_url) != before
    assert schemas(database_url) == {report.schema}


def test_every_table_of_the_views_is_compared() -> None:
    assert KEYS.keys() == set(schema.TABLES) - {"tracking"}


def test_views_that_are_being_written_are_compared_at_one_position(
    tmp_path: Path, database_url: str
) -> None:
    with EventLog.open(tmp_path / "log") as log:

        def append(happenings: Sequence[Happening]) -> None:
            log.append_sync(
                [
                    [
                        StreamAppend(stream, ANY_VERSION, [codec.encode(event, METADATA)])
                        for stream, event in happenings
                    ]
                ]
            )

        history = History(append)
        tell(history, [("visitor", n, f"message {n}") for n in range(500)])
        done = threading.Event()

        def talk() -> None:
            while not done.is_set():
                seq = history.visitor_says("c1", "还在吗？ still there?")
                history.agent_reads("c1", seq)

        reader = LogReader(tmp_path / "log")
        with projecting(LogReader(tmp_path / "log"), database_url) as runner:
            with ThreadPoolExecutor() as pool:
                talking = pool.submit(talk)
                try:
                    reports = [verify(database_url, reader, silent) for _ in range(3)]
                finally:
                    done.set()
                talking.result(10)
            assert runner.stats.parked == 0
        assert [report.differences for report in reports] == [[], [], []]
        positions = [report.position for report in reports]
        assert positions == sorted(positions)
        reader.close()
