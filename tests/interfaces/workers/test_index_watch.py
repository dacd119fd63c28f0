"""While the index of streams is rebuilt, whoever asks is told how far it is."""

import asyncio
import json
import shutil
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from application.ports.event_store import IndexProgress, IndexRebuilding
from application.queries.core import FindCredentials, IndexHealth, IndexState
from domain.errors import InvalidInput
from infrastructure.eventlog import store
from infrastructure.telemetry import collectors
from interfaces.bootstrap.clients import core_client
from interfaces.bootstrap.core import CoreRole
from interfaces.http import problems
from interfaces.settings import Settings, load
from interfaces.workers import core
from interfaces.workers.index_watch import index_whole
from interfaces.workers.readiness import Readiness
from tests.infrastructure.eventlog.conftest import batch
from tests.infrastructure.eventlog.gate import PATIENCE_S, Gate
from tests.serving import wait_until


class FailingLog:
    """A fake for failure only: a log whose index is as far as the test says."""

    index_progress: IndexProgress | None = IndexProgress(17, 50)
    index_failure: str | None = None
    index_error: Exception | None = None


async def test_what_hinders_the_rebuild_is_logged_once_and_its_end_too() -> None:
    log = FailingLog()
    log.index_failure = "no space"
    with capture_logs() as lines:
        waiting = asyncio.create_task(index_whole(log, asyncio.Event()))
        told = lambda: len(lines) >= 2  # noqa: E731
        await asyncio.to_thread(wait_until, told, PATIENCE_S, "it is told")
        log.index_failure = log.index_progress = None
        assert await waiting
    said = [(line["event"], line.get("percent")) for line in lines]
    assert said == [
        ("log.index_rebuilding", 34),
        ("log.index_failing", 34),
        ("log.index_rebuilt", None),
    ]
    assert lines[1]["error"] == "no space"


async def test_a_damaged_log_is_no_reason_to_start_the_core_again() -> None:
    log = FailingLog()
    log.index_error = IndexRebuilding(IndexProgress(1, 2), "7.seg at byte 8: bad")
    with pytest.raises(InvalidInput, match=r"7\.seg at byte 8"):
        await index_whole(log, asyncio.Event())


@pytest.fixture
def unindexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Gate]]:
    """A core's data directory with one event, and without the index."""
    settings = load({"KEFU_ADMIN_PASSWORD": "correct horse"}, data_dir=tmp_path / "data")
    with store.EventLog.open(settings.log_dir) as log:
        log.append_sync([batch("idempotency-x", b"{}")])
    shutil.rmtree(settings.log_dir / "index")
    monkeypatch.setattr(store, "AT_ONCE_EVENTS", 0)
    gate = Gate(settings.log_dir)
    gate.stand_before(monkeypatch)
    yield settings, gate
    gate.open()


async def test_the_core_answers_while_it_rebuilds_and_makes_the_administrator_afterwards(
    unindexed: tuple[Settings, Gate],
) -> None:
    settings, gate = unindexed
    role = CoreRole(settings)
    running = asyncio.create_task(core._run(settings, role))
    client = core_client(settings)
    await client.open()
    await client.wait_connected(PATIENCE_S)
    state = await client.query(IndexHealth())
    assert state == IndexState(percent=0, done=0, total=1, failure=None)
    with pytest.raises(IndexRebuilding, match="0 % of 1 events"):
        await client.query(FindCredentials(settings.admin_email))
    metrics = collectors.renderer(role._families)().decode()
    assert "kefu_index_rebuilding 1.0" in metrics
    assert "kefu_index_missing_events 1.0" in metrics
    gate.open()
    whole = lambda: role.indexed.index_progress is None  # noqa: E731
    await asyncio.to_thread(wait_until, whole, PATIENCE_S, "the index is whole")
    assert await client.query(IndexHealth()) is None
    made = lambda: role._log.durable_position > 1  # noqa: E731
    await asyncio.to_thread(wait_until, made, PATIENCE_S, "the administrator is made")
    assert await client.query(FindCredentials(settings.admin_email)) is not None
    assert "kefu_index_rebuilding 0.0" in collectors.renderer(role._families)().decode()
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(running, PATIENCE_S)
    await client.close()


async def test_a_core_that_is_stopped_while_it_rebuilds_closes_the_log(
    unindexed: tuple[Settings, Gate],
) -> None:
    settings, gate = unindexed
    running = asyncio.create_task(core._run(settings, CoreRole(settings)))
    await asyncio.to_thread(gate.waiting.wait, PATIENCE_S)
    gate.open()
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(running, PATIENCE_S)
    store.EventLog.open(settings.log_dir).close()


class _Answers(BaseHTTPRequestHandler):
    """What a web role would say, one after the other."""

    answers: list[tuple[int, Any]]

    def do_GET(self) -> None:
        status, body = self.answers.pop(0)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[tuple[Settings, list[tuple[int, Any]]]]:
    answers: list[tuple[int, Any]] = []
    handler = type("_TheseAnswers", (_Answers,), {"answers": answers})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield load({}, port=server.server_port), answers
        server.shutdown()
        thread.join()


def test_whoever_started_kefu_sees_how_far_the_index_is(
    web: tuple[Settings, list[tuple[int, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interfaces.workers.readiness._REBUILDING_LOOK_S", 0.0)
    settings, answers = web
    index = {"percent": 34, "done": 17_000_000, "total": 50_000_000, "failure": None}
    answers += [
        (503, b"not json"),
        (503, {"core": "unavailable", "index": None}),
        (503, {"core": "index-rebuilding", "index": index}),
        (503, {"core": "index-rebuilding", "index": index}),
        (503, {"core": "index-rebuilding", "index": {**index, "failure": "no space"}}),
        (200, {"core": "ok", "index": None}),
    ]
    said: list[str] = []
    readiness = Readiness(settings, said.append)
    for _ in range(4):
        readiness.look()
    assert said == [
        "rebuilding the index of streams: 34 % of 50,000,000 events;"
        " commands are taken when it is done"
    ]
    monkeypatch.setattr(readiness, "_say_at", 0.0)
    readiness.look()
    assert said[1:] == [
        "the index of streams can't be rebuilt (34 % of 50,000,000 events): no space"
    ]
    assert not readiness.ready
    readiness.look()
    readiness.look()  # asks no more
    assert readiness.ready
    assert [line.split(":")[0] for line in said[2:]] == ["kefu ready", "demo page"]


def test_over_http_it_is_a_503_that_says_when_to_ask_again() -> None:
    answer = problems.from_error(IndexRebuilding(IndexProgress(17_000_000, 50_000_000), None))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    problem = json.loads(bytes(answer.body))
    assert problem["code"] == "index-rebuilding"
    assert problem["detail"] == (
        "The index of streams is being rebuilt: 34 % of 50,000,000 events;"
        " commands are taken when it is done."
    )
