"""Views of an erased contact, and what Postgres keeps of old rows."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from application.projections.runner import ProjectionRunner
from domain.contact.events import SubjectErased
from domain.conversation.events import ConversationContactErased
from infrastructure.postgres import forgetting
from infrastructure.postgres.embedded import EmbeddedPostgres
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.rebuild import rebuild
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import FakeFeed, History
from tests.infrastructure.postgres.tables import checksum

SECRET = "Quintilian"
Run = Callable[[], ProjectionRunner]


def erase(history: History, contact: str, *conversations: str) -> None:
    history.happens(f"contact-{contact}", SubjectErased("asked", "agent:a1", None))
    for conversation in conversations:
        history.happens(f"conversation-{conversation}", ConversationContactErased())


def tell(history: History) -> None:
    history.contact("p1", f"{SECRET} Li", f"{SECRET}@mail.example", SECRET)
    history.conversation("c1")
    history.visitor_says("c1", f"I am {SECRET}")
    history.agent_says("c1", f"Hello {SECRET}")
    history.contact("p2", "Other")
    history.conversation("c2", "p2")
    history.visitor_says("c2", "kept")


def files_with(server: EmbeddedPostgres, word: str) -> list[Path]:
    forms = [word.encode(), word.lower().encode()]
    files = [path for path in server.directory.rglob("*") if path.is_file()]
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


@pytest.mark.parametrize("small", [True, False])
async def test_nothing_of_an_erased_contact_is_left_in_any_row_or_search(
    history: History,
    feed: FakeFeed,
    store: PostgresProjectionStore,
    catch_up: Run,
    views: PostgresViews,
    database_url: str,
    postgres_server: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    small: bool,
) -> None:
    if not small:
        monkeypatch.setattr(forgetting, "_SMALL_BYTES", -1)
    tell(history)
    catch_up()
    assert (await views.contacts(SECRET, 10, None)).data
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO kefu.parked_events VALUES (1, 's', 't', %s, 0)", (f"E: {SECRET}",)
        )
    erase(history, "p1", "c1")
    catch_up()
    store.close()  # waits for the sweep
    assert (await views.contacts(SECRET, 10, None)).data == []
    contact = await views.contact("p1")
    assert contact is not None
    assert (contact.name, contact.email, contact.identifier) == (None, None, None)
    assert contact.erased_at_us is not None
    rows = await views.messages("c1", limit=10, include_private=True)
    assert [(row.content, row.author.name) for row in rows] == [("", ""), ("", "韩梅梅")]
    kept = await views.messages("c2", limit=10, include_private=True)
    assert [row.content for row in kept] == ["kept"]
    with psycopg.connect(database_url) as connection:
        parked = connection.execute("SELECT error FROM kefu.parked_events").fetchall()
        connection.execute("ANALYZE")
        seen = connection.execute("SELECT s::text FROM pg_stats s").fetchall()
    assert parked == [("E",)]
    if small:
        assert files_with(postgres_server, SECRET) == []
    assert SECRET.lower() not in repr(seen).lower()


def test_after_a_rebuild_no_file_of_the_server_holds_it(
    history: History,
    feed: FakeFeed,
    store: PostgresProjectionStore,
    catch_up: Run,
    database_url: str,
    postgres_server: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forgetting, "_SMALL_BYTES", -1)
    word = "Zwetschgenbaum"
    history.contact("p1", word)
    history.conversation("c1")
    history.visitor_says("c1", f"{word} " * 2_000)
    catch_up()
    store.close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    assert files_with(postgres_server, word)
    erase(history, "p1", "c1")
    catch_up()
    before = checksum(database_url)
    monkeypatch.undo()
    rebuild(database_url, feed, lambda done, total: None)
    assert checksum(database_url) == before
    assert files_with(postgres_server, word) == []


def test_an_erasure_in_the_same_batch_as_what_it_erases_leaves_nothing(
    history: History,
    feed: FakeFeed,
    store: PostgresProjectionStore,
    catch_up: Run,
    database_url: str,
) -> None:
    tell(history)
    history.recall("c1", 1)
    erase(history, "p1", "c1")
    history.recall("c1", 2)
    catch_up()
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT m::text FROM kefu.messages m").fetchall()
        rows += connection.execute("SELECT c::text FROM kefu.contacts c").fetchall()
    assert SECRET not in repr(rows)
    assert "李雷" not in repr([row for row in rows if "c1" in repr(row)])
