"""What every `LiveBus` does; a test class for each adapter inherits it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from application.ports.live_bus import MAX_PAYLOAD_BYTES, LiveBus

WAIT_S = 60.0
"""Bound of every wait; nothing here takes a tenth of it."""


class Ear:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    def received(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for found, payload in self.heard if found == topic]


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def reaches(sender: LiveBus, ear: Ear, topic: str) -> None:
    """Publish until one arrives: from then on the subscription is there."""
    probe = b"probe " + uuid4().bytes

    async def arrived() -> bool:
        sender.publish(topic, probe)
        await asyncio.sleep(0.02)
        return probe in ear.payloads(topic)

    await until(arrived)
    # Those that are still under way must not be taken for what comes next.
    count = -1
    while count != len(ear.heard):
        count = len(ear.heard)
        await asyncio.sleep(0.2)
    ear.heard.clear()


async def is_online(bus: LiveBus, subject: str, count: int) -> bool:
    return (await bus.online([subject])).get(subject) == count


class LiveBusContract:
    """Subclasses have a fixture `make`: a bus of one more process of the same system."""

    async def test_who_is_here_is_counted(self, make: Callable[[], LiveBus]) -> None:
        bus = make()
        await bus.open(Ear())
        try:
            subject = uuid4().hex
            assert [bus.arrived(subject), bus.arrived(subject), bus.here(subject)] == [1, 2, 2]
            assert await is_online(bus, subject, 2)
            assert [bus.left(subject), bus.left(subject), bus.here(subject)] == [1, 0, 0]
            await until(lambda: is_online(bus, subject, 0))
        finally:
            await bus.close()

    async def test_what_is_published_is_not_told_to_oneself(
        self, make: Callable[[], LiveBus]
    ) -> None:
        bus, ear, topic = make(), Ear(), uuid4().hex
        await bus.open(ear)
        try:
            bus.subscribe(topic)
            bus.publish(topic, b"mine")
            await asyncio.sleep(0.1)
            assert ear.heard == []
        finally:
            await bus.close()

    async def test_it_opens_and_closes_at_once(self, make: Callable[[], LiveBus]) -> None:
        bus = make()
        await bus.open(Ear())
        await bus.close()
        bus.publish("topic", b"late")
        bus.subscribe("topic")
        bus.unsubscribe("topic")


class SharedLiveBusContract(LiveBusContract):
    """Of those that reach other processes."""

    @pytest.fixture
    async def pair(
        self, make: Callable[[], LiveBus]
    ) -> AsyncIterator[tuple[LiveBus, Ear, LiveBus, Ear]]:
        one, one_ear, two, two_ear = make(), Ear(), make(), Ear()
        await one.open(one_ear)
        await two.open(two_ear)
        yield one, one_ear, two, two_ear
        await one.close()
        await two.close()

    async def test_subscribers_elsewhere_are_told_once_and_in_order(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, one_ear, two, two_ear = pair
        topics = [uuid4().hex for _ in range(20)]
        for topic in topics:
            one.subscribe(topic)
            two.subscribe(topic)
            two.subscribe(topic)
        for topic in topics:
            await reaches(one, two_ear, topic)
        for number in range(50):
            for topic in topics:
                one.publish(topic, b"%d" % number)
        await until(lambda: len(two_ear.heard) >= 1000)
        await asyncio.sleep(0.1)
        for topic in topics:
            assert two_ear.payloads(topic) == [b"%d" % number for number in range(50)]
        assert one_ear.heard == []

    async def test_who_has_unsubscribed_is_told_no_more(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, _, two, two_ear = pair
        topic, other = uuid4().hex, uuid4().hex
        two.subscribe(topic)
        two.subscribe(other)
        await reaches(one, two_ear, topic)
        await reaches(one, two_ear, other)
        two.unsubscribe(topic)

        async def is_quiet() -> bool:
            two_ear.heard.clear()
            one.publish(topic, b"anybody there?")
            await asyncio.sleep(0.1)
            return two_ear.payloads(topic) == []

        await until(is_quiet)
        one.publish(other, b"still here")
        await until(lambda: two_ear.payloads(other) == [b"still here"])
        two.subscribe(topic)
        await reaches(one, two_ear, topic)

    async def test_any_bytes_up_to_the_limit_arrive_and_more_are_dropped(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, _, two, two_ear = pair
        topic = uuid4().hex
        two.subscribe(topic)
        await reaches(one, two_ear, topic)
        dropped = one.stats.dropped
        one.publish(topic, bytes(MAX_PAYLOAD_BYTES + 1))
        assert one.stats.dropped == dropped + 1
        longest = bytes(range(256)) * (MAX_PAYLOAD_BYTES // 256)
        one.publish(topic, longest)
        one.publish(topic, b"")
        await until(lambda: two_ear.payloads(topic) == [longest, b""])

    async def test_connections_of_all_processes_are_counted_together(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, _, two, _ = pair
        subject, nobody = uuid4().hex, uuid4().hex
        one.arrived(subject)
        two.arrived(subject)
        two.arrived(subject)
        await until(lambda: is_online(one, subject, 3))
        await until(lambda: is_online(two, subject, 3))
        await until(lambda: is_online(two, nobody, 0))
        two.left(subject)
        one.left(subject)
        await until(lambda: is_online(one, subject, 1))
        two.left(subject)
        await until(lambda: is_online(one, subject, 0))

    async def test_a_thousand_subjects_are_asked_for_at_once(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, _, two, _ = pair
        subjects = [uuid4().hex for _ in range(1000)]
        for subject in subjects[::2]:
            two.arrived(subject)
        expected = {subject: 1 - place % 2 for place, subject in enumerate(subjects)}

        async def found() -> bool:
            return await one.online(subjects) == expected

        await until(found)

    async def test_who_closes_takes_its_people_along(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, _, two, _ = pair
        subject = uuid4().hex
        two.arrived(subject)
        await until(lambda: is_online(one, subject, 1))
        await two.close()
        await until(lambda: is_online(one, subject, 0))

    async def test_counts_say_what_was_published_received_and_connected(
        self, pair: tuple[LiveBus, Ear, LiveBus, Ear]
    ) -> None:
        one, _, two, two_ear = pair
        topic = uuid4().hex
        two.subscribe(topic)
        await reaches(one, two_ear, topic)
        assert one.stats.connected == one.stats.peers > 0
        published, received = one.stats.published, two.stats.received
        one.publish(topic, b"x")
        await until(lambda: two.stats.received == received + 1)
        await until(lambda: one.stats.published == published + 1)
