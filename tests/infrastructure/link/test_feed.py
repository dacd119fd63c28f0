"""The log's events over a link: as from its files, whatever happens to the connection."""

import asyncio
import itertools
import random
import select
import struct
from pathlib import Path
from typing import Any

import pytest

from application.ports.event_store import RecordedEvent
from domain.errors import Unavailable
from infrastructure.eventlog.reader import LogReader
from infrastructure.link import feed_connection, feeding
from infrastructure.link.feed import LinkFeed
from infrastructure.link.protocol import FeedRequest, Mark
from infrastructure.link.window import EventWindow
from tests.infrastructure.link.conftest import BOUND_S, Linked, until


class Reader:
    """Reads as the hub does."""

    def __init__(self, feed: LinkFeed) -> None:
        self.feed = feed
        self.position = feed.durable_position()
        self.events: list[RecordedEvent] = []

    def pump(self) -> int:
        while found := self.feed.read(self.position, 50):
            self.events += found
            self.position = found[-1].position
        return self.position


async def test_a_feed_begins_at_the_logs_end_and_reads_what_the_log_reads(linked: Linked) -> None:
    linked.append(b"before")
    feed = await linked.feed()
    assert feed.durable_position() == 1
    reader = Reader(feed)
    for number in range(200):
        linked.append(b"%d" % number, b"+" * (number * 10), stream=f"s-{number % 3}")
    await until(lambda: reader.pump() == 401)
    local = LogReader(linked.directory / "log")
    assert reader.events == local.read(1, 1_000)
    local.close()


async def test_the_descriptor_is_readable_when_something_came_and_not_before(
    linked: Linked,
) -> None:
    feed = await linked.feed()
    poller = select.poll()
    poller.register(feed.fileno(), select.POLLIN)
    assert not poller.poll(0)
    linked.append(b"1")
    await until(lambda: poller.poll(0))
    feed.drain()
    feed.drain()
    assert not poller.poll(0)
    assert feed.durable_position() == 1


async def test_a_thread_may_wait_for_what_comes(linked: Linked) -> None:
    feed = await linked.feed()
    assert await asyncio.to_thread(feed.wait, 0, 0.01) == 0
    waiting = asyncio.create_task(asyncio.to_thread(feed.wait, 0, BOUND_S))
    linked.append(b"1")
    assert await waiting == 1


async def test_nothing_is_lost_or_doubled_when_the_link_goes_and_comes_back(
    linked: Linked,
) -> None:
    feed = await linked.feed()
    reader, moment = Reader(feed), random.Random(1)
    for turn in range(5):
        linked.append(*[b"while it is there"] * moment.randint(1, 300))
        if turn % 2:
            await until(lambda: reader.pump() == linked.log.durable_position)
        await linked.vanish()
        await until(lambda: not feed.connected)
        linked.append(*[b"while it is away"] * moment.randint(1, 300))
        reader.pump()
        await linked.listen()
        await until(lambda: feed.connected)
    await until(lambda: reader.pump() == linked.log.durable_position)
    positions = [event.position for event in reader.events]
    assert positions == list(range(1, linked.log.durable_position + 1))
    assert feed.reconnects >= 5


async def test_a_connection_cut_in_the_middle_of_a_frame_is_made_again(linked: Linked) -> None:
    """Through a middleman that cuts connections: in the handshake, in the first line, in frames."""
    bounds = itertools.chain((1_500, 2_500, 6_000, 20_000, 60_000), itertools.repeat(1_000_000))
    target, cut = linked.port, 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cut
        left = next(bounds)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)

        async def up() -> None:
            while data := await reader.read(4_096):
                far_writer.write(data)

        task = asyncio.create_task(up())
        while left > 0 and (data := await far_reader.read(min(left, 1_000))):
            left -= len(data)
            writer.write(data)
            await writer.drain()
        cut += left <= 0
        task.cancel()
        writer.transport.abort()
        far_writer.transport.abort()

    middleman = await asyncio.start_server(relay, "127.0.0.1", 0)
    linked.dialer._port = middleman.sockets[0].getsockname()[1]
    feed = await linked.feed()
    reader = Reader(feed)
    for number in range(60):
        linked.append(b"%d" % number * 2_000)
    await until(lambda: reader.pump() == 60)
    assert [event.position for event in reader.events] == list(range(1, 61))
    assert cut >= 3
    middleman.close()


async def test_who_reads_back_gets_it_from_the_log_again(linked: Linked) -> None:
    feed = await linked.feed()
    reader = Reader(feed)
    linked.append(*[b"x"] * 30)
    await until(lambda: reader.pump() == 30)
    assert feed.read(10, 5) == []
    await until(lambda: feed.durable_position() == 30)
    assert [event.position for event in feed.read(10, 5)] == [11, 12, 13, 14, 15]


async def test_what_is_not_read_is_not_taken_and_costs_no_memory_at_either_end(
    linked: Linked,
) -> None:
    """A slow remote: its window fills, TCP does the rest."""
    feed = await linked.feed(EventWindow(max_bytes=512 * 1024))
    for _ in range(300):
        linked.append(b"x" * 100_000)  # 30 MB; buffers of TCP hold some
    reader = Reader(feed)
    reader.position = 0
    await until(lambda: feed._window.full)
    (sending,) = linked.server._tasks  # type: ignore[union-attr]
    last = -1
    while last != feed.durable_position():  # until nothing more comes
        last = feed.durable_position()
        await asyncio.sleep(0.3)
    assert last < 300
    assert feed._window._bytes < 2 * 512 * 1024
    assert not sending.done()
    await until(lambda: reader.pump() == 300)
    assert [event.position for event in reader.events] == list(range(1, 301))


async def test_a_remote_that_is_far_behind_catches_up_while_events_go_on(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "_NEAR", 100)
    feed = await linked.feed()
    reader = Reader(feed)
    await linked.vanish()
    linked.append(*[b"x"] * 900)
    await linked.listen()
    for _ in range(50):
        linked.append(b"y")
        reader.pump()
        await asyncio.sleep(0)
    await until(lambda: reader.pump() == 950)
    assert [event.position for event in reader.events] == list(range(1, 951))


async def test_a_log_that_was_replaced_is_noticed(linked: Linked) -> None:
    linked.append(b"1", b"2")
    for mark in (Mark(2, 1), Mark(3, 0)):
        with pytest.raises(ConnectionError, match="other-log"):
            await linked.dialer.feed(FeedRequest(mark, "x"), asyncio.Protocol)
    feed = await linked.feed()
    told = asyncio.Event()
    feed.on_other_log = told.set
    feed._window.begin(Mark(2, 77))
    await linked.vanish()
    await linked.listen()
    async with asyncio.timeout(BOUND_S):
        await told.wait()
    assert feed.durable_position() == 2


async def test_what_is_no_frame_ends_the_connection_and_the_next_one_goes_on(
    linked: Linked,
) -> None:
    feed = await linked.feed()
    connection: Any = feed._connection
    connection.data_received(struct.pack("<I", 3) + b"???")
    linked.append(b"1")
    await until(lambda: feed.durable_position() == 1)
    assert feed.reconnects == 1
    assert feed._connection is not connection


async def test_a_link_that_falls_silent_is_left(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_connection, "SILENCE_S", 0.0)
    feed = await linked.feed()
    await until(lambda: feed.reconnects > 1)


async def test_a_remote_that_falls_silent_is_left(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "SILENCE_S", 0.05)
    closed = asyncio.Event()

    class Silent(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            closed.set()

    await linked.dialer.feed(FeedRequest(None, "x"), Silent)
    async with asyncio.timeout(BOUND_S):
        await closed.wait()
    assert linked.server is not None
    await until(lambda: linked.server is not None and not linked.server.remotes)


async def test_an_idle_feed_tells_both_ends_how_things_are(linked: Linked) -> None:
    feed = await linked.feed()
    feed.render = lambda: b"kefu_x 1\n"
    server = linked.server
    assert server is not None
    await until(lambda: server.remotes and server.remotes[feed._name].metrics == b"")
    await until(lambda: server.remotes[feed._name].metrics == b"kefu_x 1\n")
    feed.close()
    await until(lambda: not server.remotes)
    assert server.stats.open == 0


async def test_a_bug_in_this_process_does_not_end_the_pushes(linked: Linked) -> None:
    feed = await linked.feed()
    failures = [ZeroDivisionError(), ZeroDivisionError()]

    def render() -> bytes:
        if failures:
            raise failures.pop()
        return b""

    feed.render = render
    await linked.vanish()
    await linked.listen()
    await until(lambda: not failures)
    linked.append(b"1")
    await until(lambda: feed.durable_position() == 1)


async def test_a_log_that_cannot_be_opened_is_said_to_the_remote(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> LogReader:
        raise PermissionError("not yours")

    monkeypatch.setattr(linked.server, "_feeds", refuse)
    with pytest.raises(ConnectionError, match="the log can't be read"):
        await linked.dialer.feed(FeedRequest(None, "x"), asyncio.Protocol)


async def test_only_the_log_knows_what_was_long_ago(linked: Linked) -> None:
    linked.append(b"1")
    feed = await linked.feed()
    assert feed.position_at(2**62) == 1
    with pytest.raises(Unavailable):
        feed.position_at(1)


def test_a_feed_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    dialer: Any = None
    feed = LinkFeed(dialer, "x")
    feed.close()
    feed.close()
