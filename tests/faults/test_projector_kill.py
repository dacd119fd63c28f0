"""A projector that is killed again and again: every event counts once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from application import codec
from application.ports.event_store import ANY_VERSION, StreamAppend
from domain.errors import Unavailable
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.postgres.rebuild import rebuild, status
from tests.application.projections.fakes import METADATA, Happening, History
from tests.infrastructure.postgres.tables import checksum

KILLS = 4
PROJECTOR = """
import sys
from pathlib import Path
from application.projections.runner import ProjectionRunner
from infrastructure.eventlog.reader import LogReader
from infrastructure.postgres.projection_store import PostgresProjectionStore
store = PostgresProjectionStore(sys.argv[2])
ProjectionRunner(LogReader(Path(sys.argv[1])), store, batch_events=7).run(lambda: False)
"""


def _fill(log: EventLog, messages: int) -> None:
    staged: list[list[StreamAppend]] = []

    def append(happenings: list[Happening]) -> None:
        staged.append(
            [
                StreamAppend(stream, ANY_VERSION, [codec.encode(event, METADATA)])
                for stream, event in happenings
            ]
        )

    history = History(append)
    history.contact("p1", "李雷")
    for id in ("c1", "c2"):
        history.conversation(id)
    for number in range(messages):
        id = f"c{1 + number % 2}"
        seq = history.visitor_says(id, f"第{number}条 message {number}")
        if number % 9 == 0:
            history.agent_reads(id, seq)
    log.append_sync(staged)


def _position(url: str, feed: LogReader) -> int:
    try:
        return status(url, feed).position
    except (Unavailable, psycopg.Error):
        return 0


@pytest.mark.faults
def test_a_projector_killed_at_any_moment_counts_every_event_once(
    tmp_path: Path, database_url: str
) -> None:
    with EventLog.open(tmp_path / "log") as log:
        _fill(log, 3_000)
    feed = LogReader(tmp_path / "log")
    end = feed.durable_position()
    deadline = time.monotonic() + 60
    kills = 0
    while _position(url=database_url, feed=feed) < end:
        before = _position(database_url, feed)
        with subprocess.Popen(
            [sys.executable, "-c", PROJECTOR, str(tmp_path / "log"), database_url]
        ) as projector:
            goal = end if kills == KILLS else min(end, before + end // (KILLS + 1))
            while _position(database_url, feed) < goal:
                assert time.monotonic() < deadline
                assert projector.poll() is None
                time.sleep(0.005)
            os.kill(projector.pid, signal.SIGKILL)
            kills += 1
    assert kills > 2
    assert status(database_url, feed).parked == []
    found = checksum(database_url)
    rebuild(database_url, feed, lambda done, total: None)
    assert checksum(database_url) == found
    feed.close()
