"""Which reads are written down again, and that none is answered when it can't be."""

from typing import Any

import pytest

from application.commands.audit import RecordRead
from application.ports.core import Receipt, Request
from application.ports.event_store import StoreReadOnly
from application.queries.core import Principal
from domain.actors import Actor, ActorKind, Role
from domain.errors import Busy, Unavailable
from interfaces.http import reading
from interfaces.http.reading import LONGEST_READING_S, SAME_READING_S, ReadRecorder

AUDITOR = Principal(Actor(ActorKind.AGENT, "auditor-1", "A", Role.AUDITOR), "token", None)


class RecordingCore:
    """Takes reads, or fails as it is told."""

    def __init__(self) -> None:
        self.reads: list[RecordRead] = []
        self.failure: Exception | None = None

    async def execute(self, request: Request) -> Receipt:
        if self.failure is not None:
            raise self.failure
        assert isinstance(request.command, RecordRead)
        self.reads.append(request.command)
        return Receipt(1, {})

    async def query(self, query: Any) -> Any:
        raise NotImplementedError


class Clock:
    us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us

    def wait(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


class Reader:
    """Somebody who reads through a recorder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.core, self.clock = RecordingCore(), Clock()
        self.recorder = ReadRecorder(self.core, self.clock)
        self._monkeypatch = monkeypatch

    async def read(self, what: str, subject: str | None = None, **filters: str) -> None:
        self._monkeypatch.setattr(reading, "_described", lambda _: (what, subject, filters))

        class Connection:
            scope: dict[str, Any] = {}  # noqa: RUF012

        await self.recorder.record(Connection(), AUDITOR)  # type: ignore[arg-type]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(monkeypatch)


async def test_pages_of_one_list_are_one_reading(reader: Reader) -> None:
    for cursor in ("", "1", "2"):
        await reader.read("conversations", status="open", cursor=cursor, limit="50")
        reader.clock.wait(SAME_READING_S - 1)
    await reader.read("conversations", status="resolved")
    await reader.read("conversations/history", "c1")
    await reader.read("conversations/history", "c2")
    assert [one.what for one in reader.core.reads] == [
        *("conversations", "conversations", "conversations/history", "conversations/history")
    ]


async def test_after_a_pause_it_is_another_reading(reader: Reader) -> None:
    await reader.read("events")
    reader.clock.wait(SAME_READING_S + 1)
    await reader.read("events")
    assert len(reader.core.reads) == 2


async def test_a_feed_that_is_polled_for_a_day_is_told_of_once_an_hour(reader: Reader) -> None:
    for poll in range(24 * 60):
        await reader.read("events", after=str(poll))
        reader.clock.wait(SAME_READING_S - 1)
    assert len(reader.core.reads) <= 24 * 3600 // LONGEST_READING_S + 1


async def test_going_back_in_the_feed_is_another_reading(reader: Reader) -> None:
    for after in ("100", "200", "150", "99", "120"):
        await reader.read("events", after=after)
    assert [one.filters["after"] for one in reader.core.reads] == ["100", "99"]


@pytest.mark.parametrize("failure", [Busy("no"), StoreReadOnly("no"), Unavailable("no")])
async def test_a_read_that_can_not_be_written_is_refused_and_tried_again(
    reader: Reader, failure: Exception
) -> None:
    reader.core.failure = failure
    with pytest.raises(Unavailable) as caught:
        await reader.read("events")
    assert caught.value.code == "unavailable"
    reader.core.failure = None
    await reader.read("events")
    assert len(reader.core.reads) == 1


async def test_what_is_remembered_is_bounded(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_READINGS", 3)
    for id in ("a", "b", "c", "d", "a"):
        await reader.read("conversations", id)
    assert [one.subject for one in reader.core.reads] == ["a", "b", "c", "d", "a"]
    assert len(reader.recorder._readings) == 3
