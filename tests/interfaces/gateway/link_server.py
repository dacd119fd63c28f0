"""A small WebSocket server with the gateway's keepalive, and its clients, over a bad link.

Run by test_keepalive_link.py as `python -m`, inside a network namespace; prints JSON.
"""

import asyncio
import errno
import json
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from websockets.server import ServerProtocol

from interfaces.gateway import protocol, tcp_info
from interfaces.gateway.client_keys import network_key
from interfaces.gateway.keepalive import Keepalive, Policy
from tests.bad_link import HERE, BadLink, bad_link, enter

POLICY = Policy().scaled(1 / 10)
"""Pings after 3 s (2 to 24), a grace of 1 s (2 on a poor link), ticks of 50 ms. The timeouts of
TCP's retransmission, 0.2 s and more (RFC 6298), do not scale: a few must fit into two graces.
"""
_CLIENTS = 8
_GIVE_UP_S = 60.0


class Server:
    """Accepts, pings, and drops who is dead. Says when each was last heard and given up."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.keepalive = Keepalive(self.loop.time(), POLICY)
        self.writers: dict[int, asyncio.StreamWriter] = {}
        self.heard_at: dict[int, tuple[float, float]] = {}
        """Time, and `late_s` then."""
        self.died_after: dict[int, tuple[float, float, float]] = {}
        """How long after it was last heard, how much of that this process came late to its ticks,
        and the bound that the policy states for one that is never late."""
        self.late_s = 0.0
        self.poor_seen = 0
        self.errors: list[str] = []
        self.ticking: asyncio.Task[None] | None = None
        self._ids = count(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handshake = ServerProtocol()
        handshake.receive_data(await reader.readuntil(b"\r\n\r\n"))
        (request,) = handshake.events_received()
        handshake.send_response(handshake.accept(request))  # type: ignore[arg-type]
        writer.write(b"".join(handshake.data_to_send()))
        id_ = next(self._ids)
        self.writers[id_] = writer
        connection = writer.get_extra_info("socket")
        address = writer.get_extra_info("peername")[0]
        self.heard_at[id_] = (self.loop.time(), self.late_s)
        self.keepalive.opened(id_, network_key(address))
        frames = protocol.WebSocketProtocol(1024)
        try:
            while data := await reader.read(4096):
                self.heard_at[id_] = (self.loop.time(), self.late_s)
                self.keepalive.heard(id_)
                for event in frames.receive(data):
                    if isinstance(event, protocol.Pong):
                        sample = tcp_info.sample(connection._sock)
                        assert sample is not None
                        self.keepalive.sample(id_, sample)
                        self.poor_seen += self.keepalive.is_poor(id_)
        except OSError as error:
            self.errors.append(errno.errorcode[error.errno or 0])
            self.keepalive.closed(id_, silent=True)

    def start_pinging(self) -> None:
        self.ticking = asyncio.create_task(self.tick())

    async def tick(self) -> None:
        before = self.loop.time()
        while True:
            await asyncio.sleep(POLICY.tick_s)
            known = {
                id_: POLICY.bound_s(
                    self.keepalive.interval_s(id_), poor=self.keepalive.is_poor(id_)
                )
                for id_ in self.writers
            }
            now = self.loop.time()
            self.late_s += max(0.0, now - before - POLICY.tick_s)
            before = now
            pings, dead = self.keepalive.due(now)
            for id_ in pings:
                self.writers[id_].write(protocol.ping())
            for id_ in dead:
                at, late_s = self.heard_at[id_]
                self.died_after[id_] = (now - at, self.late_s - late_s, known[id_])
                self.writers.pop(id_).transport.abort()


class Clients:
    """Real clients of the `websockets` library in the other namespace, in a thread of their own."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self._port = port
        self._ended = threading.Event()
        self.closed = 0
        self.thread = threading.Thread(target=self._run, name="clients")

    def end(self) -> None:
        self._ended.set()
        self.thread.join()

    def _run(self) -> None:
        enter(self._pid)
        asyncio.run(self._talk())

    async def _talk(self) -> None:
        from websockets.asyncio.client import connect

        # It pings nobody, so that only the server keeps the connection alive.
        options: dict[str, Any] = {"ping_interval": None, "open_timeout": _GIVE_UP_S}
        opened = [await connect(f"ws://{HERE}:{self._port}/", **options) for _ in range(_CLIENTS)]
        await asyncio.to_thread(self._ended.wait)
        self.closed = sum(one.close_code is not None for one in opened)
        for one in opened:
            one.transport.abort()


async def living(server: Server, link: BadLink) -> None:
    """On a slow link that loses one packet in twenty, until every interval has grown."""
    server.start_pinging()
    link.delay_s, link.jitter_s, link.loss = 0.03, 0.025, 0.05
    intervals = server.keepalive.interval_s
    await until(
        lambda: (
            server.died_after
            or (link.lost > 2 and min(map(intervals, server.writers)) > POLICY.start_s)
        )
    )


async def cut(server: Server, link: BadLink) -> None:
    """Pings and pongs, then nothing more either way."""
    server.start_pinging()
    await until(lambda: server.keepalive.stats.pongs >= _CLIENTS)
    link.cut = True
    await until(lambda: not server.writers)


async def backstop(server: Server, link: BadLink) -> None:
    """Nobody counts pings: the kernel ends connections with data in flight."""
    link.cut = True
    for writer in server.writers.values():
        assert tcp_info.give_up_after(writer.get_extra_info("socket")._sock, 3)
        writer.write(protocol.ping())
    await until(lambda: len(server.errors) == _CLIENTS)


SCENES: dict[str, Callable[[Server, BadLink], Awaitable[None]]] = {
    "living": living,
    "cut": cut,
    "backstop": backstop,
}


async def until(happened: Callable[[], Any]) -> None:
    async with asyncio.timeout(_GIVE_UP_S):
        while not happened():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def main(scene: str) -> None:
    with bad_link() as (link, pid):
        server = Server()
        listener = await asyncio.start_server(server.serve, HERE, 0, family=socket.AF_INET)
        clients = Clients(pid, listener.sockets[0].getsockname()[1])
        clients.thread.start()
        try:
            await until(lambda: len(server.writers) == _CLIENTS)
            await SCENES[scene](server, link)
        finally:
            if server.ticking is not None:
                server.ticking.cancel()
            clients.end()
        for writer in server.writers.values():
            writer.transport.abort()
        stats = server.keepalive.stats
        print(
            json.dumps(
                {
                    "died_after": list(server.died_after.values()),
                    "living": len(server.writers),
                    "closed_by_server": clients.closed,
                    "intervals_s": [server.keepalive.interval_s(n) for n in server.writers],
                    "pings": stats.pings,
                    "pongs": stats.pongs,
                    "silent_deaths": stats.silent_deaths,
                    "errors": server.errors,
                    "poor_seen": server.poor_seen,
                    "packets_lost": link.lost,
                    "growth_from_s": POLICY.start_s,
                }
            )
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
