"""What goes over a link, and the window in which it waits."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.ports.event_store import RecordedEvent
from infrastructure.ipc.protocol import FrameBuffer, ProtocolError
from infrastructure.link.protocol import (
    MAX_BATCH_BYTES,
    FeedRequest,
    LinkProtocolError,
    LinkRefused,
    Mark,
    accept,
    answered,
    ask,
    ask_feed,
    asked,
    batches,
    decode_batch,
    events_of,
    refuse,
)
from infrastructure.link.window import EventWindow


def event(position: int, size: int = 1, stream: str = "message-1") -> RecordedEvent:
    return RecordedEvent(position, stream, 0, "t.sent.v1", 1_000 + position, b"{}", b"x" * size)


def events(first: int, last: int) -> list[RecordedEvent]:
    return [event(position) for position in range(first, last + 1)]


@pytest.mark.parametrize(
    "request_",
    [FeedRequest(None, "gateway-1@host"), FeedRequest(Mark(12, 1_700_000_000_000_000), "x")],
)
def test_a_first_line_says_what_is_wanted(request_: FeedRequest) -> None:
    assert asked(ask_feed(request_)[:-1]) == request_
    assert asked(ask("core")[:-1]) == "core"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"core",
        b"kefu-link/2 core",
        b"kefu-link/1 database",
        b"kefu-link/1 feed",
        b"kefu-link/1 feed -1 0 name",
        b"kefu-link/1 feed 1 0 a name",
        b"kefu-link/1 feed end 0 " + b"n" * 101,
        b"GET / HTTP/1.1",
    ],
)
def test_another_first_line_is_refused(line: bytes) -> None:
    with pytest.raises(LinkProtocolError):
        asked(line)


def test_an_answer_is_yes_with_a_place_or_no_with_a_reason() -> None:
    assert answered(accept()[:-1]) is None
    assert answered(accept(Mark(7, 8))[:-1]) == Mark(7, 8)
    for line, reason in ((refuse("unavailable")[:-1], "unavailable"), (b"HTTP/1.1 400", "not a")):
        with pytest.raises(LinkRefused, match=reason):
            answered(line)


@settings(deadline=None)
@given(st.lists(st.integers(1, 200_000), max_size=12), st.integers(50, 100_000))
def test_events_come_whole_and_in_order_however_the_bytes_are_cut(
    sizes: list[int], cut: int
) -> None:
    sent = [event(1 + at, size) for at, size in enumerate(sizes)]
    data = b"".join(batches(99, sent))
    buffer, heard = FrameBuffer(MAX_BATCH_BYTES), []
    for start in range(0, len(data), cut):
        for body in buffer.feed(data[start : start + cut]):
            batch = decode_batch(body)
            assert batch.durable == 99
            heard += events_of(batch)
    assert heard == sent


def test_the_largest_event_fits_a_frame_and_a_longer_frame_is_refused() -> None:
    (data,) = batches(1, [event(1, 1024 * 1024)])
    buffer = FrameBuffer(MAX_BATCH_BYTES)
    (body,) = buffer.feed(data)
    assert events_of(decode_batch(body)) == [event(1, 1024 * 1024)]
    with pytest.raises(ProtocolError):
        list(buffer.feed(struct.pack("<I", MAX_BATCH_BYTES + 1)))


def test_a_window_reads_as_the_log_does_and_forgets_what_was_read() -> None:
    window = EventWindow()
    window.begin(Mark(10, 0))
    window.add(events(11, 20))
    assert window.read(10, 3) == events(11, 13)
    assert window.read(10, 100) == events(11, 20)
    assert (window.begins, window.last.position) == (10, 20)
    assert window.read(15, 100) == events(16, 20)
    assert window.begins == 15
    assert window.read(20, 100) == window.read(25, 100) == []
    assert window.begins == 20


def test_a_filtered_read_passes_over_what_does_not_match() -> None:
    window = EventWindow()
    window.begin(Mark(0, 0))
    streams = ("message-1", "token-1", "conversation-1", "agent-1", "message-2")
    window.add([event(1 + at, stream=stream) for at, stream in enumerate(streams)])
    found = window.read_matching(0, 10, (), ("token", "agent"))
    assert ([e.position for e in found.events], found.next_position) == ([2, 4], 5)
    found = window.read_matching(0, 1, (), ("token", "agent"))
    assert ([e.position for e in found.events], found.next_position) == ([2], 2)
    assert window.read_matching(2, 10, ("t.*",), ("message",)).events == [
        event(5, stream="message-2")
    ]
    assert window.read_matching(2, 10, ("u.sent.v1", "u*"), ()) == ([], 5)


@pytest.mark.parametrize("positions", [[12], [10], [11, 13], [11, 11]])
def test_a_gap_or_a_repeat_is_refused(positions: list[int]) -> None:
    window = EventWindow()
    window.begin(Mark(10, 0))
    with pytest.raises(LinkProtocolError):
        window.add([event(position) for position in positions])


def test_a_window_is_full_by_number_and_by_size_and_roomy_when_half_of_it_was_read() -> None:
    for window, size in (
        (EventWindow(max_events=10), 1),
        (EventWindow(max_bytes=14_020), 1_000),
    ):
        window.begin(Mark(0, 0))
        window.add([event(position, size) for position in range(1, 10)])
        assert not window.full
        window.add([event(10, size)])
        assert window.full
        window.read(4, 1)
        assert not window.full
        assert not window.roomy
        window.read(5, 1)
        assert window.roomy
