"""The bus between the processes of one machine."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from application.ports.live_bus import LiveBus
from infrastructure.ipc.mesh import MeshBus
from tests.contracts.live_bus import Ear, SharedLiveBusContract, is_online, until

Three = tuple[list[MeshBus], list[Ear]]


class TestMeshBus(SharedLiveBusContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], LiveBus]:
        return lambda: MeshBus(tmp_path)


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    """Three that start at the same moment."""
    buses, ears = [MeshBus(tmp_path) for _ in range(3)], [Ear() for _ in range(3)]
    await asyncio.gather(*(bus.open(ear) for bus, ear in zip(buses, ears, strict=True)))
    await until(lambda: all(bus.stats.connected == 2 for bus in buses))
    yield buses, ears
    await asyncio.gather(*(bus.close() for bus in buses))


def connect(directory: Path) -> socket.socket:
    """A process that speaks for itself, to the first that listens."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(min(directory.glob("live-*.sock"))))
    return peer


async def test_those_that_start_together_all_find_each_other_and_hear_once(three: Three) -> None:
    buses, ears = three
    for bus in buses:
        bus.subscribe("c")
    for number, bus in enumerate(buses):
        bus.publish("c", b"%d" % number)
    await until(lambda: all(len(ear.heard) == 2 for ear in ears))
    await asyncio.sleep(0.05)
    assert [sorted(ear.payloads("c")) for ear in ears] == [[b"1", b"2"], [b"0", b"2"], [b"0", b"1"]]


async def test_a_killed_processs_socket_is_cleared_away(tmp_path: Path, three: Three) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "live-dead.sock"))
    late = MeshBus(tmp_path)
    await late.open(Ear())
    try:
        await until(lambda: late.stats.connected == 3)
        assert not (tmp_path / "live-dead.sock").exists()
        names = os.listdir(tmp_path)
        assert len(names) == 4
        assert all((tmp_path / name).stat().st_mode & 0o077 == 0 for name in names)
    finally:
        await late.close()
    assert len(os.listdir(tmp_path)) == 3


async def test_a_peer_that_reads_nothing_costs_its_own_payloads_only(
    tmp_path: Path, three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.ipc.mesh_link.MAX_WAITING_BYTES", 300_000)
    buses, ears = three
    first = min(buses, key=lambda bus: bus._path)
    others = [ear for bus, ear in zip(buses, ears, strict=True) if bus is not first]
    for bus in buses:
        bus.subscribe("c")
    with connect(tmp_path) as peer:
        peer.sendall(struct.pack("!IB", 7, 0) + b"frozen")
        await until(lambda: first.stats.connected == 3)
        for number in range(200):
            first.publish("c", b"%d" % number + bytes(10_000))
            await asyncio.sleep(0)
        assert first.stats.dropped > 0
        await until(lambda: all(len(ear.heard) == 200 for ear in others))
        # It answers no question either; the others do.
        subject = uuid4().hex
        for bus in buses:
            bus.arrived(subject)
        assert await is_online(first, subject, 3)
    await until(lambda: first.stats.connected == 2)


@pytest.mark.parametrize(
    "nonsense", [b"\0\0\0\0\0", b"\xff\xff\xff\xff\x01", b"\0\0\0\2\1x", b"\0\0\0\6\2abcd{"]
)
async def test_a_peer_that_talks_nonsense_is_cut_off(
    tmp_path: Path, three: Three, nonsense: bytes
) -> None:
    with connect(tmp_path) as peer:
        peer.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(peer, nonsense)
        async with asyncio.timeout(60):
            while await loop.sock_recv(peer, 4096):
                pass
    assert all(bus.stats.connected == 2 for bus in three[0])
