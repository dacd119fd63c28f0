"""A whole web role in the test's own event loop: real log, command bus, hub, app and uvicorn.

The views are folded in memory (`MemoryViews`); the one other difference to `kefu serve` is that
the core is not behind a socket.
"""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from application.commands.access import EndSession, StartAgentSession, StartVisitorSession
from application.commands.agent import RegisterAgent
from application.commands.bus import CommandBus
from application.commands.message import SendMessage
from application.ports.core import Receipt, Request
from application.ports.event_store import StreamAppend
from application.queries.core import CoreQuery
from domain.access.token import token_id
from domain.actors import SYSTEM, Actor, ActorKind, Role
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from interfaces.gateway.hub import LiveHub
from interfaces.gateway.relay import Relay
from interfaces.gateway.server import Gateway
from interfaces.http.app import create_app
from interfaces.http.authentication import Authenticator
from interfaces.http.dependencies import WebDependencies
from interfaces.settings import load
from interfaces.workers.gateway import sources_of
from interfaces.workers.web import configuration
from tests.interfaces.gateway.memory_views import MemoryViews

WAIT_S = 60.0
"""Bound of every wait; nothing here takes a tenth of it."""


class Clock:
    """Time that a test may move; sessions expire by it."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


class GatedStore:
    """The event log, with a gate before the disk."""

    def __init__(self, log: EventLog) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append_all(self, batches: Sequence[Sequence[StreamAppend]]) -> Any:
        await self.gate.wait()
        return await self._log.append_all(batches)


class LocalCore:
    """The command bus as the web role sees the core."""

    connected = True

    def __init__(self, bus: CommandBus) -> None:
        self._bus = bus

    def submit(self, request: Request, done: Callable[[Any], None]) -> None:
        self._bus.submit(request, done)

    async def execute(self, request: Request) -> Receipt:
        return await self._bus.execute(request)

    async def query(self, query: CoreQuery) -> Any:
        return await self._bus.query(query)


class Ids:
    """Ids that a reader of a failed test can tell apart."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"id-{next(self._numbers)}"

    def secret(self) -> str:
        return f"secret-{next(self._numbers)}"


class Person:
    """Somebody with a token; a visitor has a conversation too."""

    def __init__(self, world: "World", secret: str, actor: Actor) -> None:
        self.secret = secret
        self.actor = actor
        self.conversation_id = actor.conversation_id or ""
        self._world = world

    def connect(self, **options: Any) -> connect:
        """A connection with the token in the header."""
        headers = {"Authorization": f"Bearer {self.secret}"}
        return self._world.connect(additional_headers=headers, **options)

    async def says(
        self,
        content: str,
        *,
        ref: str | None = None,
        private: bool = False,
        conversation_id: str | None = None,
    ) -> Receipt:
        """Send a message past the gateway."""
        command = SendMessage(
            conversation_id or self.conversation_id, ref or self._world.ids.new(), content, private
        )
        return await self._world.execute(command, self.actor)


class World:
    """Everything that the tests of the gateway need."""

    def __init__(self, directory: Path, *, gateway: bool = False, **settings: str) -> None:
        self.directory = directory
        self.with_gateway = gateway
        """An epoll gateway has the port, and uvicorn a Unix socket behind it."""
        self.gateway: Gateway | None = None
        self.clock, self.ids = Clock(), Ids()
        self.log = EventLog.open(directory / "log")
        self.store = GatedStore(self.log)
        self.bus = CommandBus(self.store, self.clock)
        self.views = MemoryViews(LogReader(directory / "log"))
        core: Any = LocalCore(self.bus)
        self.authenticator = Authenticator(core, self.clock)
        views: Any = self.views
        self.hub = LiveHub(LogReader(directory / "log"), views, self.authenticator)
        ids: Any = self.ids
        passwords: Any = None
        self.dependencies = WebDependencies(
            settings=load({}, data_dir=directory, **settings),
            core=core,
            views=views,
            feed=LogReader(directory / "log"),
            hub=self.hub,
            authenticator=self.authenticator,
            clock=self.clock,
            ids=ids,
            passwords=passwords,
            widget_secret=b"secret",
            gather_metrics=lambda: b"",
            resources=(),
        )
        self.app = create_app(self.dependencies)
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start_server(self) -> None:
        """Listen on a free port, with the settings of `interfaces.workers.web`."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        if self.with_gateway:
            path = self.directory / "web.sock"
            settings = self.dependencies.settings
            self.gateway = Gateway(
                self.dependencies, Relay(path), settings, sources=sources_of(settings)
            )
            self.gateway.listen(listener)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            listener.listen()
        config = configuration(self.app, self.dependencies, loop="none")
        self._server = uvicorn.Server(config)
        # The test runner's own handling of signals stays.
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            assert not self._serving.done(), self._serving.result()
            await asyncio.sleep(0.005)

    async def stop_server(self) -> None:
        """As SIGTERM does."""
        if self.gateway is not None:
            await self.gateway.close(2.0)
            self.gateway = None
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = None

    async def execute(self, command: Any, actor: Actor = SYSTEM) -> Receipt:
        return await self.bus.execute(Request(command, actor, "test"))

    def connect(self, query: str = "", **options: Any) -> connect:
        # No bound on its queue: a client that closes while it is full waits for its time-out.
        options = {
            "subprotocols": ["kefu.v1"],
            "compression": None,
            "max_queue": None,
            **options,
        }
        return connect(f"ws://127.0.0.1:{self.port}/ws{query}", **options)

    async def visitor(self, *, expires_in_s: float = 3600.0) -> Person:
        secret = self.ids.secret()
        expires_us = self.clock.us + int(expires_in_s * 1e6)
        command = StartVisitorSession(
            token_id(secret), expires_us, self.ids.new(), self.ids.new(), name="Li Lei"
        )
        found = (await self.execute(command)).result
        id = found["conversation_id"]
        actor = Actor(ActorKind.VISITOR, found["contact_id"], "Li Lei", conversation_id=id)
        return Person(self, secret, actor)

    async def agent(self, role: Role = Role.AGENT) -> Person:
        secret, id = self.ids.secret(), self.ids.new()
        register = RegisterAgent(id, f"{id}@x.io", "Han Meimei", role, "hash", False)
        await self.execute(register)
        expires_us = self.clock.us + 3_600_000_000
        await self.execute(StartAgentSession(token_id(secret), expires_us, id))
        return Person(self, secret, Actor(ActorKind.AGENT, id, "Han Meimei", role))

    async def log_out(self, person: Person) -> None:
        await self.execute(EndSession(token_id(person.secret)), person.actor)

    async def until(self, condition: Callable[[], Any], *, bound_s: float = WAIT_S) -> None:
        """Wait until it holds."""
        end = asyncio.get_running_loop().time() + bound_s
        while not condition():
            assert asyncio.get_running_loop().time() < end, "it did not come true"
            await asyncio.sleep(0.005)

    async def caught_up(self) -> None:
        """Wait until the hub has told everything that is in the log."""
        await self.until(lambda: self.hub.position >= self.log.durable_position)


@contextlib.asynccontextmanager
async def world_in(
    directory: Path, *, gateway: bool = False, **settings: str
) -> AsyncIterator[World]:
    """A world with its command bus and server running."""
    world = World(directory, gateway=gateway, **settings)
    world.bus.start()
    await world.start_server()
    try:
        yield world
    finally:
        world.store.gate.set()
        await world.stop_server()
        await world.bus.close()
        world.log.close()


async def tell(socket: ClientConnection, **frame: Any) -> None:
    """Send a frame."""
    await socket.send(json.dumps(frame, ensure_ascii=False))


async def hear(socket: ClientConnection, type: str | None = None) -> dict[str, Any]:
    """The next frame, or the next one of a type."""
    async with asyncio.timeout(WAIT_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if type is None or frame["type"] == type:
                return frame


async def hear_until(socket: ClientConnection, type: str) -> list[dict[str, Any]]:
    """All frames up to the first one of a type."""
    heard = [await hear(socket)]
    while heard[-1]["type"] != type:
        heard.append(await hear(socket))
    return heard


async def close_code(socket: ClientConnection) -> int | None:
    """Wait until the server closes; with which code."""
    async with asyncio.timeout(WAIT_S):
        await socket.wait_closed()
    return socket.close_code
