"""Two hubs on one bus, of one machine or of two: what passes between gateways."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.ports.live_bus import LiveBus
from infrastructure.eventlog.reader import LogReader
from infrastructure.ipc.mesh import MeshBus
from infrastructure.valkey.bus import ValkeyBus
from interfaces.gateway.hub import LiveHub
from interfaces.gateway.subscription import Subscription
from tests.contracts.live_bus import is_online, until
from tests.interfaces.gateway.test_hub import Listener
from tests.interfaces.gateway.world import World


class Gateway:
    """One process's hub, as far as a test sees it."""

    def __init__(self, world: World, directory: Path, bus: LiveBus) -> None:
        views: Any = world.views
        feed = LogReader(directory / "log")
        self.bus = bus
        self.hub = LiveHub(feed, views, world.authenticator, self.bus)

    def listener(self) -> Listener:
        return Listener(self)  # type: ignore[arg-type]  # it takes whatever has a hub


def presence_of(listener: Listener) -> list[bool]:
    return [frame["online"] for frame in listener.frames if frame["type"] == "presence"]


@pytest.fixture(params=["one machine", "a cluster"])
async def gateways(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    monkeypatch.setattr("interfaces.gateway.presence.SWEEP_S", 0.1)
    monkeypatch.setattr("interfaces.gateway.presence.RECHECK_S", 0.3)
    buses: list[LiveBus]
    if request.param == "one machine":
        buses, peers = [MeshBus(tmp_path / "run") for _ in range(2)], 1
    else:
        url = request.getfixturevalue("cluster").url
        buses, peers = [ValkeyBus(url) for _ in range(2)], 3
    one, two = [Gateway(world, tmp_path, bus) for bus in buses]
    await one.hub.open()
    await two.hub.open()
    await world.until(lambda: all(bus.stats.connected == peers for bus in buses))
    yield one, two
    await one.hub.close()
    await two.hub.close()


async def until_heard(world: World, one: Gateway, sender: Listener, far: Listener) -> None:
    """A subscription on a cluster takes a moment."""

    def heard() -> bool:
        one.hub.tell("c", b'{"type":"probe"}', sender)
        return bool(far.raw)

    await world.until(heard)
    await asyncio.sleep(0.2)
    far.raw.clear()


async def test_typing_reaches_the_other_gateways_subscribers_once(
    world: World, gateways: tuple[Gateway, Gateway]
) -> None:
    one, two = gateways
    sender, near, far = one.listener(), one.listener(), two.listener()
    for listener in (sender, near, far):
        listener.subscribe("c", staff=False)
    await until_heard(world, one, sender, far)
    near.raw.clear()
    for number in range(3):
        one.hub.tell("c", b'{"type":"typing","n":%d}' % number, sender)
    await world.until(lambda: len(far.raw) >= 3)
    await asyncio.sleep(0.05)
    assert [frame["n"] for frame in far.frames] == [0, 1, 2]
    assert near.raw == far.raw
    assert sender.raw == []


async def test_a_visitor_on_another_gateway_is_online(
    world: World, gateways: tuple[Gateway, Gateway]
) -> None:
    one, two = gateways
    visitor = await world.visitor()
    agent = one.listener()
    subscription = agent.subscribe(visitor.conversation_id, staff=True)
    two.hub.presence.arrived(visitor.actor)
    await until(lambda: is_online(one.bus, visitor.actor.id, 1))
    one.hub.presence.watch(subscription, visitor.actor.id)
    await world.until(lambda: presence_of(agent) == [True])
    # A second one elsewhere that goes is no change.
    one.hub.presence.arrived(visitor.actor)
    one.hub.presence.left(visitor.actor)
    await asyncio.sleep(0.5)
    assert presence_of(agent) == [True]
    two.hub.presence.left(visitor.actor)
    await world.until(lambda: presence_of(agent) == [True, False])


async def test_the_visitors_of_a_gateway_that_was_cut_off_are_found_gone(
    world: World, gateways: tuple[Gateway, Gateway]
) -> None:
    one, two = gateways
    visitor = await world.visitor()
    agent = one.listener()
    subscription = agent.subscribe(visitor.conversation_id, staff=True)
    two.hub.presence.arrived(visitor.actor)
    await until(lambda: is_online(one.bus, visitor.actor.id, 1))
    one.hub.presence.watch(subscription, visitor.actor.id)
    await world.until(lambda: presence_of(agent) == [True])
    await two.bus.close()  # it tells nobody that its visitors have gone
    await world.until(lambda: presence_of(agent) == [True, False])


async def test_who_stops_watching_is_told_no_more(
    world: World, gateways: tuple[Gateway, Gateway]
) -> None:
    one, two = gateways
    visitor = await world.visitor()
    agent = one.listener()
    subscription: Subscription = agent.subscribe(visitor.conversation_id, staff=True)
    one.hub.presence.watch(subscription, visitor.actor.id)
    await world.until(lambda: presence_of(agent) == [False])
    one.hub.unsubscribe(subscription)
    two.hub.presence.arrived(visitor.actor)
    await asyncio.sleep(0.5)
    assert presence_of(agent) == [False]
