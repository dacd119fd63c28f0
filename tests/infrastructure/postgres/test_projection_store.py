"""The projector's store in a real Postgres: exactly once, parking, and data it refuses."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from application.ports.projection_store import BadRow
from application.projections.records import Changes, Keys
from application.projections.runner import ProjectionRunner
from domain.errors import Conflict, Unavailable
from infrastructure.postgres import schema
from infrastructure.postgres.projection_store import PostgresProjectionStore
from tests.application.projections.fakes import FakeFeed, History
from tests.infrastructure.postgres.tables import checksum

CatchUp = Callable[[], ProjectionRunner]


def _parked(url: str) -> list[tuple[int, str, str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT position, stream, type, error FROM kefu.parked_events ORDER BY position"
        ).fetchall()


def test_views_begin_empty_at_position_zero(store: PostgresProjectionStore) -> None:
    assert store.position() == 0
    assert store.load(Keys()) == Changes().records


def test_rows_come_back_as_they_were_stored(
    history: History, store: PostgresProjectionStore, catch_up: CatchUp
) -> None:
    history.contact("p1", "李雷 \\N\t\n'\"", "li@example.cn", "user-7")
    history.conversation("c1", verified=True)
    history.visitor_says("c1", "tab\there, line\nthere, back\\slash, quote', emoji 📦, \\N")
    history.agent_says("c1", "内部", private=True)
    catch_up()
    store.position()  # it forgets the rows that it keeps
    rows = store.load(Keys(conversations={"c1"}, messages={("c1", 1), ("c1", 9)}, contacts={"p1"}))
    assert rows.messages["c1", 1].content.endswith("quote', emoji 📦, \\N")
    assert rows.contacts["p1"].name == "李雷 \\N\t\n'\""
    assert (rows.conversations["c1"].last_seq, rows.conversations["c1"].last_public_seq) == (2, 1)
    assert set(rows.messages) == {("c1", 1)}


def test_a_batch_and_its_position_are_written_together_or_not_at_all(
    history: History, store: PostgresProjectionStore, catch_up: CatchUp, database_url: str
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "hello")
    catch_up()
    before = checksum(database_url)
    with pytest.raises(Conflict):  # as a second projector would find it
        store.commit(Changes(), after=1, position=9)
    rows = store.load(Keys(messages={("c1", 1)}))
    duplicate = Changes(records=rows, new_messages={("c1", 1)})
    with pytest.raises(BadRow):
        store.commit(duplicate, after=3, position=4)
    assert store.position() == 3
    assert checksum(database_url) == before


def test_an_event_counts_once_when_the_projector_dies_inside_a_transaction(
    feed: FakeFeed, history: History, store: PostgresProjectionStore, database_url: str
) -> None:
    history.conversation("c1")
    for _ in range(5):
        history.visitor_says("c1", "hello")
    ProjectionRunner(feed, store, batch_events=4).step()
    with psycopg.connect(database_url, autocommit=True) as other, other.transaction():
        # Holds the batch open in the middle of its transaction, where it is cut off.
        other.execute("LOCK TABLE kefu_views_1.conversations IN SHARE MODE")
        doomed = PostgresProjectionStore(database_url)
        with ThreadPoolExecutor() as pool:
            step = pool.submit(ProjectionRunner(feed, doomed).step)
            _terminate_whoever_waits_for_a_lock(database_url)
            with pytest.raises(Unavailable):
                step.result(10)
        doomed.close()
    assert store.position() == 4
    ProjectionRunner(feed, store).catch_up(feed.durable_position())
    assert store.load(Keys(conversations={"c1"})).conversations["c1"].unread_count == 5


@pytest.mark.parametrize(
    "batch_events", [1, 2, 3, 1_000], ids=lambda number: f"batches of {number}"
)
def test_rows_do_not_depend_on_where_batches_end(
    feed: FakeFeed,
    history: History,
    store: PostgresProjectionStore,
    database_url: str,
    batch_events: int,
) -> None:
    history.contact("p1", "Li")
    history.conversation("c1")
    for number in range(1, 6):
        history.visitor_says("c1", f"text {number}")
        history.agent_reads("c1", number - 1)
        history.agent_says("c1", "note", private=True)
    history.edit("c1", 1, "edited")
    history.recall("c1", 3)
    ProjectionRunner(feed, store, batch_events=batch_events).catch_up(feed.durable_position())
    whole = PostgresProjectionStore(database_url, _new_schema(database_url))
    ProjectionRunner(feed, whole).catch_up(feed.durable_position())
    whole.close()
    assert checksum(database_url, "kefu_views_2") == checksum(database_url)


def _terminate_whoever_waits_for_a_lock(url: str) -> None:
    deadline = time.monotonic() + 10
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            terminated = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall()
            if terminated:
                return
            time.sleep(0.01)
    pytest.fail("nobody waits for a lock")


def _new_schema(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        return schema.create(connection)


@pytest.mark.parametrize(
    ("seq", "content"),
    [
        (2, "a NUL \\u0000 inside"),
        (2**31, "a seq that is no integer of Postgres"),
        (2**32 + 2, "a seq whose lower half is one"),
        (2, " ".join(f"w{n:06}" for n in range(160_000))),
    ],
    ids=["NUL", "out of range", "in range when cut", "too many lexemes"],
)
def test_an_event_that_postgres_refuses_is_parked_and_the_others_are_stored(
    feed: FakeFeed,
    history: History,
    store: PostgresProjectionStore,
    catch_up: CatchUp,
    database_url: str,
    seq: int,
    content: str,
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "before")
    _append_sent(feed, seq, content)
    history.agent_says("c1", "after")
    assert catch_up().stats.parked == 1
    ((position, stream, type, error),) = _parked(database_url)
    assert (position, stream, type) == (4, "message-x", "message.sent.v1")
    assert error.startswith("BadRow: ")
    rows = store.load(Keys(messages={("c1", 1), ("c1", 2)}))
    assert [rows.messages["c1", seq].content for seq in (1, 2)] == ["before", "after"]
    assert store.position() == 6


@pytest.mark.parametrize("batch_events", [1, 2, 1_000])
def test_the_second_of_two_messages_with_one_seq_is_parked(
    feed: FakeFeed,
    history: History,
    store: PostgresProjectionStore,
    database_url: str,
    batch_events: int,
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "first")
    _append_sent(feed, 1, "second")
    runner = ProjectionRunner(feed, store, batch_events=batch_events)
    runner.catch_up(feed.durable_position())
    assert [row[0] for row in _parked(database_url)] == [4]
    assert store.load(Keys(messages={("c1", 1)})).messages["c1", 1].content == "first"


def _append_sent(feed: FakeFeed, seq: int, content: str) -> None:
    author = '{"kind":"visitor","id":"p1","name":"Li"}'
    payload = (
        f'{{"type":"message.sent.v1","conversation_id":"c1","seq":{seq},"author":{author},'
        f'"content":"{content}","private":false,"ref":"r"}}'
    )
    feed.append_raw("message-x", "message.sent.v1", payload.encode())


def test_an_id_too_long_for_an_index_is_parked_not_retried_for_ever(
    history: History, catch_up: CatchUp, database_url: str
) -> None:
    history.conversation("".join(chr(0x4E00 + n * 7 % 20_000) for n in range(5_000)))
    history.conversation("c1")
    assert catch_up().stats.parked == 1
    ((position, _, _, error),) = _parked(database_url)
    assert position == 1
    assert "ProgramLimitExceeded" in error


def test_an_edit_of_a_message_out_of_range_is_parked(
    history: History, catch_up: CatchUp, database_url: str
) -> None:
    history.conversation("c1")
    history.edit("c1", 2**31, "no such seq")
    history.visitor_says("c1", "after")
    assert catch_up().stats.parked == 1
    assert [row[0] for row in _parked(database_url)] == [2]


def test_the_longest_message_is_stored_and_found(
    history: History, catch_up: CatchUp, store: PostgresProjectionStore
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "".join(chr(0x4E00 + n * 31 % 20_000) for n in range(16_384)))
    history.visitor_says("c1", " ".join(f"w{n:05}" for n in range(2_340)))
    history.visitor_says("c1", "x" * 16_384)
    history.visitor_says("c1", "\ufdfa" * 16_384)  # one character that NFKC makes 18
    assert catch_up().stats.parked == 0


def test_a_database_that_is_not_there_is_unavailable(database_url: str) -> None:
    store = PostgresProjectionStore(database_url.replace("dbname=test", "dbname=no_test"))
    with pytest.raises(Unavailable):
        store.position()
    with pytest.raises(Unavailable):
        PostgresProjectionStore("postgresql://kefu@127.0.0.1:1/kefu").load(Keys())
