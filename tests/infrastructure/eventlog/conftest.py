"""A small log to damage."""

from collections.abc import Callable
from pathlib import Path

import pytest

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog.store import EventLog


def batch(stream: str, *payloads: bytes, expected: int = ANY_VERSION) -> list[StreamAppend]:
    events = [NewEvent("test.event.v1", payload, b"{}") for payload in payloads]
    return [StreamAppend(stream, expected, events)]


@pytest.fixture
def small_log(tmp_path: Path) -> Callable[..., Path]:
    """Makes a log of a few frames (one event each) in one open segment."""

    def make(frames: int = 4, **options: int) -> Path:
        directory = tmp_path / "log"
        with EventLog.open(directory, **options) as log:
            for number in range(frames):
                log.append_sync([batch(f"s-{number % 2}", b"payload %d" % number)])
        return directory

    return make
