"""Filtered reading finds what a naive filter finds, and its cursor moves over everything else."""

import random
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.ports.event_store import ANY_VERSION, NewEvent, RecordedEvent, StreamAppend
from application.queries.feed import FeedCursor
from infrastructure.eventlog import filtering
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.infrastructure.eventlog.test_damage import the_segment

TYPES = ("message.sent.v1", "message.edited.v1", "contact.created.v1", "消息.v1")
STREAMS = ("message-1", "message-2", "conversation-message-3", "contact-x-y", "alone", "客户-1")
WANTED_TYPES = (*TYPES, "message.*", "message.s*", "*", "消*", "message", "none.v1")
WANTED_CATEGORIES = ("message", "conversation", "contact", "alone", "客户", "contact-x", "none")


def naive(event: RecordedEvent, types: tuple[str, ...], categories: tuple[str, ...]) -> bool:
    type_fits = not types or any(
        event.type.startswith(one[:-1]) if one.endswith("*") else event.type == one for one in types
    )
    return type_fits and (not categories or event.stream.split("-")[0] in categories)


happenings = st.lists(
    st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from(TYPES)), min_size=1, max_size=4),
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    happenings,
    st.lists(st.sampled_from(WANTED_TYPES), max_size=3).map(tuple),
    st.lists(st.sampled_from(WANTED_CATEGORIES), max_size=3).map(tuple),
    st.integers(1, 7),
    st.integers(1, 12),
    st.data(),
)
def test_a_filtered_read_finds_what_a_naive_filter_finds(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[str, str]]],
    types: tuple[str, ...],
    categories: tuple[str, ...],
    limit: int,
    scanned: int,
    data: st.DataObject,
) -> None:
    directory = tmp_path_factory.mktemp("log")
    with (
        EventLog.open(directory, max_segment_bytes=600) as log,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(filtering, "MAX_SCANNED_EVENTS", scanned)
        for happening in batches:
            log.append_sync(
                [
                    [
                        StreamAppend(stream, ANY_VERSION, [NewEvent(type, type.encode(), b"{}")])
                        for stream, type in happening
                    ]
                ]
            )
        whole = log.read(0, 1_000)
        reader = LogReader(directory)
        after = start = data.draw(st.integers(0, log.durable_position))
        # Not drawn in the loop: with a map, which comes when it comes, there are fewer rounds.
        chance = random.Random(data.draw(st.integers()))
        found: list[RecordedEvent] = []
        while after < log.durable_position:
            events, following = reader.read_matching(after, limit, types, categories)
            assert len(events) <= limit
            assert all(after < event.position <= following for event in events)
            assert following > after
            found += events
            after = following
            if chance.random() < 0.5:  # other reads between do not disturb it
                assert reader.read(0, 3) == whole[:3]
        assert found == [e for e in whole[start:] if naive(e, types, categories)]
        cursor = FeedCursor(reader, 0, types, categories)
        cursor.go_back(limit)
        every = [e for e in whole if naive(e, types, categories)]
        assert list(cursor.to_end()) == every[-limit:]
        reader.close()


def test_a_read_that_finds_nothing_says_how_far_it_looked_and_stops_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtering, "MAX_SCANNED_EVENTS", 10)
    with EventLog.open(tmp_path) as log:
        for _ in range(8):
            log.append_sync([batch("s-1", b"1", b"2", b"3")])
        reader = LogReader(tmp_path)
        assert reader.read_matching(0, 5, ["nothing.v1"]) == ([], 12)
        assert reader.read_matching(12, 5, ["nothing.v1"]) == ([], 24)
        assert reader.read_matching(24, 5, ["nothing.v1"]) == ([], 24)
        assert reader.read_matching(99, 5) == ([], 99)
        monkeypatch.setattr(filtering, "MAX_SCANNED_BYTES", 1)
        assert reader.read_matching(0, 5, (), ["other"]) == ([], 3)
        reader.close()


def test_no_event_is_made_of_what_does_not_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(*fields: object) -> RecordedEvent:
        made.append(fields[0])
        return RecordedEvent(*fields)  # type: ignore[arg-type]

    with EventLog.open(tmp_path) as log:
        # The wanted name stands in a payload too, so the frame can't be passed over whole.
        log.append_sync([batch("a-1", b"b-1", b"2"), batch("b-1", b"3")])
        monkeypatch.setattr(filtering, "RecordedEvent", counted)
        reader = LogReader(tmp_path)
        assert [event.position for event in reader.read_matching(0, 9, (), ["b"]).events] == [3]
        assert made == [3]
        reader.close()


def test_damage_is_an_error_for_a_filter_that_would_pass_over_it(tmp_path: Path) -> None:
    with EventLog.open(tmp_path) as log:
        for number in range(5):
            log.append_sync([batch(f"s{number}-x", b"%d" % number)])
        path = the_segment(tmp_path)
        data = path.read_bytes()
        with path.open("r+b") as file:
            file.seek(data.index(b"KFRM", data.index(b"KFRM") + 1) + 50)
            file.write(b"\xff")
        reader = LogReader(tmp_path)
        for _ in range(2):
            with pytest.raises(CorruptFrame) as caught:
                reader.read_matching(0, 10, (), ["s4"])
            assert caught.value.next_position == 2
        assert [e.position for e in reader.read_matching(2, 10, (), ["s4"]).events] == [5]
        reader.close()


def test_one_reader_serves_several_threads(tmp_path: Path) -> None:
    with EventLog.open(tmp_path, max_segment_bytes=2_000) as log:
        for number in range(150):
            log.append_sync([batch(f"s-{number}", b"1", b"2")])
        whole = log.read(0, 1_000)
    reader = LogReader(tmp_path)
    wrong: list[object] = []

    def look(thread: int) -> None:
        try:
            for after in range(thread, 290, 7):
                page = reader.read_matching(after, 5, ["test.*"]).events
                if page != whole[after : after + 5] or reader.read(after, 3) != page[:3]:
                    wrong.append(after)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            wrong.append(error)

    threads = [threading.Thread(target=look, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []
