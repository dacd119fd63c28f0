"""Rebuilding beside the running views, and looking at their state."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from application import codec
from application.ports.event_store import ANY_VERSION, EventFeed, StreamAppend
from application.ports.views import ConversationFilter
from application.projections.runner import ProjectionRunner
from domain.errors import Conflict, Unavailable
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.postgres import schema
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.rebuild import rebuild, status
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import METADATA, FakeFeed, Happening, History
from tests.infrastructure.postgres.tables import active_schema, checksum, schemas

CatchUp = Callable[[], ProjectionRunner]


def _silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def _tell(history: History, messages: int) -> None:
    history.contact("p1", "李雷", "li@example.cn", "user-7")
    history.agent("a1", "韩梅梅")
    history.api_key("k1", "erp")
    for id in ("c1", "c2", "c3"):
        history.conversation(id)
    for number in range(messages):
        id = f"c{1 + number % 3}"
        seq = history.visitor_says(id, f"第{number}条 message number {number}")
        if number % 5 == 0:
            history.agent_reads(id, seq)
        if number % 7 == 0:
            history.recall(id, seq)
        if number % 11 == 0:
            history.agent_says(id, "内部", private=True)


@contextmanager
def _projecting(feed: EventFeed, url: str) -> Iterator[ProjectionRunner]:
    """A projector at work in a thread of its own."""
    stop = threading.Event()
    store = PostgresProjectionStore(url)
    runner = ProjectionRunner(feed, store)
    thread = threading.Thread(target=runner.run, args=(stop.is_set,))
    thread.start()
    try:
        yield runner
    finally:
        stop.set()
        thread.join(10)
        store.close()
    assert not thread.is_alive()


def test_rebuilt_views_equal_the_old_ones_and_the_old_schema_is_gone(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 60)
    feed.append_raw("conversation-c1", "conversation.from_the_future.v1", b"{}")
    catch_up()
    before = checksum(database_url)
    seen: list[tuple[int, int]] = []
    result = rebuild(database_url, feed, lambda done, total: seen.append((done, total)))
    assert checksum(database_url) == before
    assert (result.schema, schemas(database_url)) == ("kefu_views_2", {"kefu_views_2"})
    assert (result.position, result.lag) == (feed.durable_position(), 0)
    assert [parked.position for parked in result.parked] == [feed.durable_position()]
    assert seen[-1] == (feed.durable_position(), feed.durable_position())


def test_a_rebuild_repairs_views_that_somebody_has_damaged(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 20)
    catch_up()
    before = checksum(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM kefu.messages WHERE seq = 2")
        connection.execute("UPDATE kefu.conversations SET unread_count = 99")
    assert checksum(database_url) != before
    rebuild(database_url, feed, _silent)
    assert checksum(database_url) == before


async def test_a_rebuild_while_events_go_on_loses_nothing_and_never_goes_back(
    tmp_path: Path, database_url: str
) -> None:
    with EventLog.open(tmp_path / "log") as log:

        def append(happenings: list[Happening]) -> None:
            log.append_sync(
                [
                    [
                        StreamAppend(stream, ANY_VERSION, [codec.encode(event, METADATA)])
                        for stream, event in happenings
                    ]
                ]
            )

        history = History(append)
        _tell(history, 1_500)
        reader = LogReader(tmp_path / "log")
        views = PostgresViews(database_url, max_connections=2)
        await views.open()
        rebuilt = threading.Event()
        positions: list[int] = []

        def talk() -> None:
            while not rebuilt.is_set():
                history.visitor_says("c1", "还在吗？ still there?")

        async def read() -> None:
            while not rebuilt.is_set():
                positions.append(await views.position())
                page = await views.list_conversations(ConversationFilter(q="message"), 9, None)
                assert len(page.data) == 3

        with _projecting(LogReader(tmp_path / "log"), database_url) as runner:
            await views.wait_for(await _until_at(views, reader), 10)
            with ThreadPoolExecutor() as pool:
                talking = pool.submit(talk)
                reading = asyncio.create_task(read())
                for _ in range(3):
                    await asyncio.to_thread(rebuild, database_url, reader, _silent)
                rebuilt.set()
                await reading
                await asyncio.to_thread(talking.result, 10)
            await views.wait_for(reader.durable_position(), 10)
            assert runner.stats.parked == 0
        assert active_schema(database_url) == "kefu_views_4"
        assert schemas(database_url) == {"kefu_views_4"}
        assert positions == sorted(positions)
        assert len(set(positions)) > 3
        await views.close()
        after = checksum(database_url)
        rebuild(database_url, reader, _silent)
        assert checksum(database_url) == after
        reader.close()


async def _until_at(views: PostgresViews, reader: LogReader) -> int:
    """The durable position, once the projector has made the schema."""
    async with asyncio.timeout(60):
        while True:
            try:
                await views.position()
                return reader.durable_position()
            except Unavailable:
                await asyncio.sleep(0.02)


def test_readers_keep_the_old_views_until_the_switch(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 20)
    catch_up()
    seen: set[str] = set()
    rebuild(database_url, feed, lambda done, total: seen.add(active_schema(database_url)))
    assert seen == {"kefu_views_1"}


def test_only_one_rebuild_runs_at_a_time(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 20)
    catch_up()
    refused: list[str] = []

    def rebuild_again(done: int, total: int) -> None:
        with pytest.raises(Conflict) as caught:
            rebuild(database_url, feed, _silent)
        refused.append(caught.value.detail)

    rebuild(database_url, feed, rebuild_again)
    assert refused
    assert schemas(database_url) == {"kefu_views_2"}


def test_what_an_interrupted_rebuild_left_is_removed_by_the_next(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 20)
    catch_up()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(database_url, feed, interrupt)
    assert active_schema(database_url) == "kefu_views_1"
    assert schemas(database_url) == {"kefu_views_1", "kefu_views_2"}
    rebuild(database_url, feed, _silent)
    assert len(schemas(database_url)) == 1


def test_the_projector_follows_the_switch(
    feed: FakeFeed, history: History, database_url: str
) -> None:
    _tell(history, 20)
    with _projecting(feed, database_url):
        rebuild(database_url, feed, _silent)
        history.visitor_says("c1", "after the switch")
        _wait_until(lambda: status(database_url, feed).lag == 0)
    assert active_schema(database_url) == "kefu_views_2"


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_projector_waits_for_the_rebuild_of_views_of_another_version(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 5)
    catch_up()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE kefu.schemas SET version = 0")
    newer = PostgresProjectionStore(database_url)
    with pytest.raises(Unavailable, match="kefu views rebuild"):
        newer.position()
    rebuild(database_url, feed, _silent)
    assert newer.position() == feed.durable_position()
    newer.close()


def test_the_status_counts_rows_lag_and_parked_events(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 3)
    feed.append_raw("conversation-c1", "conversation.from_the_future.v1", b"{}")
    catch_up()
    history.visitor_says("c1", "not yet projected")
    found = status(database_url, feed)
    assert (found.schema, found.lag, found.position) == (
        "kefu_views_1",
        2,
        feed.durable_position() - 2,
    )
    assert found.rows["conversations"] == 3
    assert found.rows["agents"] == found.rows["contacts"] == found.rows["api_keys"] == 1
    (parked,) = found.parked
    assert parked.error.startswith("UnknownEventType")


def test_without_a_database_status_and_rebuild_are_unavailable(feed: FakeFeed) -> None:
    url = "postgresql://kefu@127.0.0.1:1/kefu"
    with pytest.raises(Unavailable):
        status(url, feed)
    with pytest.raises(Unavailable):
        rebuild(url, feed, _silent)


def test_a_database_that_goes_away_during_a_rebuild_leaves_the_old_views(
    feed: FakeFeed, history: History, catch_up: CatchUp, database_url: str
) -> None:
    _tell(history, 20)
    catch_up()
    before = checksum(database_url)

    def cut(done: int, total: int) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with pytest.raises(Unavailable):
        rebuild(database_url, feed, cut)
    assert active_schema(database_url) == "kefu_views_1"
    assert checksum(database_url) == before


def test_the_stable_names_are_those_of_every_table(
    store: PostgresProjectionStore, database_url: str
) -> None:
    store.position()
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'kefu_views_1'"
        ).fetchall()
    assert {row[0] for row in rows} == set(schema.TABLES)
