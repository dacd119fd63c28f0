"""A command bus over the real event log in a temporary directory."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from application.commands.access import StartVisitorSession
from application.commands.agent import RegisterAgent
from application.commands.bus import CommandBus
from application.ports.core import Idempotency, Receipt, Request
from domain.actors import SYSTEM, Actor, ActorKind, Role
from infrastructure.eventlog.store import EventLog


@dataclass
class SteppingClock:
    """Time that moves only when a test says so."""

    us: int = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


@dataclass
class Driver:
    """Sends commands as different people."""

    bus: CommandBus
    log: EventLog
    clock: SteppingClock
    ids: Any = field(default_factory=lambda: itertools.count(1))

    async def execute(self, command: Any, actor: Actor = SYSTEM, key: str | None = None) -> Receipt:
        idempotency = Idempotency(key, repr(command)) if key else None
        return await self.bus.execute(Request(command, actor, "correlation", idempotency))

    async def visitor(self, **fields: Any) -> Actor:
        n = next(self.ids)
        fields = {"contact_id": f"contact-{n}", "conversation_id": f"conv-{n}", **fields}
        session = StartVisitorSession(f"token-{n}", self.clock.us + 10**12, **fields)
        result = (await self.execute(session)).result
        return Actor(
            ActorKind.VISITOR,
            result["contact_id"],
            "Li Lei",
            conversation_id=result["conversation_id"],
        )

    async def agent(self, role: Role = Role.AGENT) -> Actor:
        n = next(self.ids)
        register = RegisterAgent(f"agent-{n}", f"a{n}@x.io", f"Agent {n}", role, "hash", False)
        await self.execute(register)
        return Actor(ActorKind.AGENT, f"agent-{n}", f"Agent {n}", role)


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    log = EventLog.open(tmp_path / "log")
    clock = SteppingClock()
    bus = CommandBus(log, clock)
    bus.start()
    yield Driver(bus, log, clock)
    await bus.close()
    log.close()
