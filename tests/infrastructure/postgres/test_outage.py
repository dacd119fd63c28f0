"""A database that is killed, is silent or is not there: `Unavailable` soon, and back by itself."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from application.ports.views import ConversationFilter
from application.projections.runner import ProjectionRunner
from domain.errors import Unavailable
from infrastructure.postgres import views as views_module
from infrastructure.postgres.embedded import EmbeddedPostgres
from infrastructure.postgres.projection_store import PostgresProjectionStore
from infrastructure.postgres.views import PostgresViews
from tests.application.projections.fakes import FakeFeed, History

SOON_S = 20.0
"""Ten times the wait of 2 s, for a busy machine, and less than the pool's own 30 s."""


@pytest.fixture
def mortal(postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of one test; `postgres_server` checks that there is a wheel."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.02)


async def _until_unavailable(views: PostgresViews) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await views.position()
            except Unavailable:
                return


@contextmanager
def _projecting(feed: FakeFeed, url: str) -> Iterator[ProjectionRunner]:
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


async def _start_again(server: EmbeddedPostgres) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await asyncio.to_thread(server.start)
                return
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_a_killed_database_is_unavailable_soon_and_the_views_catch_up_afterwards(
    feed: FakeFeed, history: History, mortal: EmbeddedPostgres
) -> None:
    history.conversation("c1")
    history.visitor_says("c1", "before")
    views = PostgresViews(mortal.url, max_connections=2)
    await views.open()
    with _projecting(feed, mortal.url) as runner:
        await _until(lambda: runner.stats.position == 3)
        await views.wait_for(3, 5)

        assert mortal.pid is not None
        os.kill(mortal.pid, signal.SIGKILL)
        await _until(lambda: mortal.pid is None)
        history.visitor_says("c1", "meanwhile")
        await _until_unavailable(views)  # the killed server's children live on for a moment
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await views.conversation("c1")
        assert time.monotonic() - started < SOON_S
        await _until(lambda: runner.stats.failures > 0 and runner.stats.lag_events == 2)

        await _start_again(mortal)
        await views.wait_for(5, 15)
    messages = await views.messages("c1", limit=9, include_private=True)
    assert [message.content for message in messages] == ["before", "meanwhile"]
    await views.close()
    assert runner.stats.parked == 0


async def test_views_without_a_database_answer_soon_and_begin_when_there_is_one(
    feed: FakeFeed, history: History, mortal: EmbeddedPostgres
) -> None:
    mortal.stop()
    views = PostgresViews(mortal.url, max_connections=2)
    await views.open()
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await views.list_conversations(ConversationFilter(), 10, None)
    assert time.monotonic() - started < SOON_S
    await _start_again(mortal)
    history.conversation("c1")
    store = PostgresProjectionStore(mortal.url)
    ProjectionRunner(feed, store).catch_up(1)
    store.close()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await views.position() == 1
                break
            except Unavailable:
                await asyncio.sleep(0.05)
    await views.close()


async def test_many_readers_at_once_are_all_told_soon(mortal: EmbeddedPostgres) -> None:
    mortal.stop()
    views = PostgresViews(mortal.url, max_connections=2)
    await views.open()
    started = time.monotonic()
    results = await asyncio.gather(
        *(views.conversation("c1") for _ in range(600)), return_exceptions=True
    )
    assert time.monotonic() - started < SOON_S
    assert {type(result) for result in results} == {Unavailable}
    await views.close()


async def test_a_server_that_says_nothing_is_unavailable() -> None:
    """Its backlog takes the connection, and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        views = PostgresViews(f"postgresql://kefu@127.0.0.1:{port}/kefu", max_connections=1)
        await views.open()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await views.agents()
        assert time.monotonic() - started < SOON_S
        await views.close()


async def test_a_server_that_falls_silent_is_unavailable(
    feed: FakeFeed,
    history: History,
    mortal: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(views_module, "_ANSWER_TIMEOUT_S", 0.5)
    history.conversation("c1")
    store = PostgresProjectionStore(mortal.url)
    ProjectionRunner(feed, store).catch_up(1)
    views = PostgresViews(mortal.url, max_connections=1)
    await views.open()
    assert await views.position() == 1
    connection = next(iter(views._pool._pool))
    backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await views.position()
        assert time.monotonic() - started < 40
    finally:
        os.kill(backend, signal.SIGCONT)
    store.close()
    await views.close()
