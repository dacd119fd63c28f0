"""Faults of a real cluster of three masters: what goes on, what is counted, and that it heals."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from infrastructure.valkey.bus import ValkeyBus
from tests.contracts.live_bus import Ear, is_online, reaches, until
from tests.valkey_cluster import ValkeyCluster, ValkeyServer

Pair = tuple[ValkeyBus, ValkeyBus, Ear]
pytestmark = pytest.mark.faults


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.valkey.presence.RENEW_S", 0.3)
    monkeypatch.setattr("infrastructure.valkey.link._SILENCE_S", 4.0)


@pytest.fixture
async def pair(cluster: ValkeyCluster, _quick: None) -> AsyncIterator[Pair]:
    one, two, ear = ValkeyBus(cluster.url), ValkeyBus(cluster.url), Ear()
    await one.open(Ear())
    await two.open(ear)
    await until(lambda: one.stats.connected == two.stats.connected == 3)
    yield one, two, ear
    await one.close()
    await two.close()


@pytest.fixture
def healed(cluster: ValkeyCluster) -> Iterator[None]:
    yield
    cluster.wait_whole()


def topics_by_owner(cluster: ValkeyCluster, victim: ValkeyServer) -> tuple[str, str]:
    """A topic that the victim carries, and one that another master does."""
    names = [uuid4().hex for _ in range(40)]
    owners = {name: cluster.owner(f"kefu:live:{name}") for name in names}
    lost = next(name for name, owner in owners.items() if owner is victim)
    kept = next(name for name, owner in owners.items() if owner is not victim)
    return lost, kept


async def test_topics_are_spread_over_all_masters(cluster: ValkeyCluster, pair: Pair) -> None:
    _, two, _ = pair
    topics = [uuid4().hex for _ in range(300)]
    for topic in topics:
        two.subscribe(topic)

    def shares() -> list[int]:
        return [len(server.command("PUBSUB SHARDCHANNELS")) for server in cluster.servers]

    await until(lambda: sum(shares()) == 300)
    assert min(shares()) > 50
    for topic in topics:
        two.unsubscribe(topic)
    await until(lambda: sum(shares()) == 0)


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_without_a_master_the_others_topics_go_on_and_it_heals_when_it_is_back(
    cluster: ValkeyCluster, pair: Pair, healed: None, fault: str
) -> None:
    one, two, ear = pair
    victim = cluster.servers[2]
    lost, kept = topics_by_owner(cluster, victim)
    for topic in (lost, kept):
        two.subscribe(topic)
        await reaches(one, ear, topic)
    getattr(victim, fault)()
    try:
        await until(lambda: one.stats.connected == two.stats.connected == 2)
        dropped = one.stats.dropped
        one.publish(lost, b"into the void")
        assert one.stats.dropped == dropped + 1
        await reaches(one, ear, kept)
        new = uuid4().hex  # subscribing goes on too, whoever carries it
        two.subscribe(new)
        assert one.arrived(new) == 1
    finally:
        if fault == "kill":
            victim.start()
        else:
            victim.thaw()
    await until(lambda: one.stats.connected == two.stats.connected == 3)
    await reaches(one, ear, lost)
    await reaches(one, ear, new)
    await until(lambda: is_online(two, new, 1))


async def test_presence_is_written_again_to_a_master_that_came_back_with_nothing(
    cluster: ValkeyCluster, pair: Pair, healed: None
) -> None:
    one, two, _ = pair
    subjects = [uuid4().hex for _ in range(200)]
    for subject in subjects:
        one.arrived(subject)

    async def all_online() -> bool:
        return await two.online(subjects) == dict.fromkeys(subjects, 1)

    await until(all_online)
    victim = cluster.servers[0]
    victim.kill()
    await until(lambda: one.stats.connected == two.stats.connected == 2)
    found = await two.online(subjects)
    assert 0 < len(found) < 200, "those of the dead master are not known, the others are"
    assert set(found.values()) == {1}
    victim.start()
    await until(all_online)


async def test_a_cluster_that_is_down_at_the_start_is_found_when_it_comes(
    cluster: ValkeyCluster, healed: None
) -> None:
    for server in cluster.servers:
        server.kill()
    one, two, ear, topic = ValkeyBus(cluster.url), ValkeyBus(cluster.url), Ear(), uuid4().hex
    await one.open(Ear())
    await two.open(ear)
    try:
        two.subscribe(topic)
        one.publish(topic, b"nobody takes it")
        assert one.stats.dropped == 1
        one.arrived(topic)
        assert await one.online([topic, "somebody else"]) == {topic: 1}
        for server in cluster.servers:
            server.start()
        await reaches(one, ear, topic)
        await until(lambda: is_online(two, topic, 1))
    finally:
        await one.close()
        await two.close()


async def test_a_slot_that_moves_to_another_master_takes_its_subscription_along(
    cluster: ValkeyCluster, pair: Pair
) -> None:
    one, two, ear = pair
    source, target = cluster.servers[0], cluster.servers[1]
    topic = next(
        name
        for name in (uuid4().hex for _ in range(100))
        if cluster.owner(f"kefu:live:{name}") is source
    )
    two.subscribe(topic)
    await reaches(one, ear, topic)
    slot = source.command("CLUSTER KEYSLOT", f"kefu:live:{topic}")
    await asyncio.to_thread(cluster.move_slot, slot, source, target)
    try:
        await reaches(one, ear, topic)
        assert topic.encode() in b"".join(target.command("PUBSUB SHARDCHANNELS"))
    finally:
        await asyncio.to_thread(cluster.move_slot, slot, target, source)
    await reaches(one, ear, topic)


_GATEWAY = """
import asyncio, sys
from infrastructure.valkey import presence
from infrastructure.valkey.bus import ValkeyBus
presence.TTL_S, presence.RENEW_S = 2, 0.5

class Nobody:
    def received(self, topic, payload): pass

async def main():
    bus = ValkeyBus(sys.argv[1])
    await bus.open(Nobody())
    bus.arrived(sys.argv[2])
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_gateways_people_are_counted_no_more(
    cluster: ValkeyCluster, pair: Pair
) -> None:
    one, _, _ = pair
    subject = uuid4().hex
    arguments = ("-c", _GATEWAY, cluster.url, subject)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        await until(lambda: is_online(one, subject, 1))
        # Renewed beyond its life while the gateway lives.
        await asyncio.sleep(3)
        assert await is_online(one, subject, 1)
    finally:
        process.kill()
        await process.wait()
    await until(lambda: is_online(one, subject, 0))
