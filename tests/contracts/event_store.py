"""What every event store gives: one suite, run over each adapter of the port."""

import asyncio
from typing import Any

import pytest

from application.ports.event_store import (
    ANY_VERSION,
    NO_STREAM,
    NewEvent,
    StreamAppend,
    WrongExpectedVersion,
)


def append(stream: str, expected: int, *payloads: bytes) -> StreamAppend:
    return StreamAppend(stream, expected, [NewEvent("t.v1", p, b"m") for p in payloads])


class EventStoreContract:
    """Subclass it with a fixture `store`."""

    async def test_positions_count_from_1_and_versions_from_0(self, store: Any) -> None:
        assert await store.append([append("a", NO_STREAM, b"1", b"2")]) == 2
        events = store.read(0, 10)
        assert [(e.position, e.stream, e.version) for e in events] == [(1, "a", 0), (2, "a", 1)]
        assert [(e.type, e.payload, e.metadata) for e in events] == [
            ("t.v1", b"1", b"m"),
            ("t.v1", b"2", b"m"),
        ]

    async def test_a_batch_over_several_streams_is_all_or_nothing(self, store: Any) -> None:
        await store.append([append("a", NO_STREAM, b"1")])
        with pytest.raises(WrongExpectedVersion) as caught:
            await store.append([append("b", NO_STREAM, b"2"), append("a", NO_STREAM, b"3")])
        assert (caught.value.stream, caught.value.actual) == ("a", 0)
        assert store.durable_position == 1
        assert store.stream_version("b") == NO_STREAM

    async def test_expected_versions_are_exact_none_or_any(self, store: Any) -> None:
        await store.append([append("a", ANY_VERSION, b"1")])
        await store.append([append("a", 0, b"2")])
        await store.append([append("a", ANY_VERSION, b"3")])
        for wrong in (NO_STREAM, 0, 1, 3):
            with pytest.raises(WrongExpectedVersion):
                await store.append([append("a", wrong, b"x")])
        assert store.stream_version("a") == 2

    async def test_streams_without_an_event_are_absent(self, store: Any) -> None:
        await store.append([append("there", ANY_VERSION, b"1")])
        assert store.absent(["there", "not", "there", "nor"]) == {"not", "nor"}
        assert store.absent([]) == set()
        await store.append([append("not", NO_STREAM, b"1")])
        assert store.absent(["there", "not", "nor"]) == {"nor"}

    async def test_a_stream_may_appear_twice_in_a_batch(self, store: Any) -> None:
        await store.append(
            [append("a", NO_STREAM, b"1"), append("b", NO_STREAM, b"2"), append("a", 0, b"3")]
        )
        assert [e.payload for e in store.read_stream("a")] == [b"1", b"3"]

    async def test_in_a_group_each_batch_stands_alone(self, store: Any) -> None:
        outcomes = await store.append_all(
            [
                [append("a", NO_STREAM, b"1")],
                [append("a", NO_STREAM, b"refused")],
                [append("a", 0, b"2")],
            ]
        )
        assert outcomes[0] == 1
        assert isinstance(outcomes[1], WrongExpectedVersion)
        assert outcomes[2] == 2
        assert [e.payload for e in store.read(0, 10)] == [b"1", b"2"]

    async def test_one_of_many_concurrent_writers_of_a_version_wins(self, store: Any) -> None:
        async def attempt(number: int) -> bool:
            try:
                await store.append([append("a", NO_STREAM, b"%d" % number)])
            except WrongExpectedVersion:
                return False
            return True

        won = await asyncio.gather(*(attempt(n) for n in range(20)))
        assert sum(won) == 1
        assert store.durable_position == 1

    async def test_a_stream_is_read_from_a_version_up_to_a_position(self, store: Any) -> None:
        for number in range(6):
            await store.append([append(f"s{number % 2}", ANY_VERSION, b"%d" % number)])
        assert [e.payload for e in store.read_stream("s0")] == [b"0", b"2", b"4"]
        assert [e.payload for e in store.read_stream("s0", after_version=0)] == [b"2", b"4"]
        assert [e.payload for e in store.read_stream("s0", limit=2)] == [b"0", b"2"]
        assert [e.payload for e in store.read_stream("s0", up_to_position=4)] == [b"0", b"2"]
        assert store.read_stream("unknown") == []

    async def test_the_whole_log_is_read_in_pages_in_order(self, store: Any) -> None:
        for number in range(10):
            await store.append([append("s", ANY_VERSION, b"%d" % number, b"+")])
        seen: list[int] = []
        while events := store.read(seen[-1] if seen else 0, 3):
            seen += [e.position for e in events]
        assert seen == list(range(1, 21))
        assert [e.position for e in store.read(17, 100)] == [18, 19, 20]
        assert store.read(20, 10) == []

    async def test_recorded_times_never_go_back(self, store: Any) -> None:
        for number in range(5):
            await store.append([append("s", ANY_VERSION, b"%d" % number)])
        times = [e.recorded_us for e in store.read(0, 10)]
        assert times == sorted(times)

    async def test_limits_are_refused_before_anything_is_written(self, store: Any) -> None:
        for bad in (
            [],
            [StreamAppend("a", ANY_VERSION, [])],
            [append("", ANY_VERSION, b"x")],
            [append("x" * 513, ANY_VERSION, b"x")],
            [append("a", ANY_VERSION, b"x" * (1024 * 1024 + 1))],
            [StreamAppend("a", ANY_VERSION, [NewEvent("", b"", b"")])],
        ):
            with pytest.raises(ValueError, match=r"a batch|a stream|an event"):
                await store.append(bad)
        assert store.durable_position == 0
        await store.append([append("a", NO_STREAM, b"still works")])
