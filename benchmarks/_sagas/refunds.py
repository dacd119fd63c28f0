"""Refunds by the thousand: asked for over the core's socket, seen to their end in the log."""

import asyncio
import time
import uuid
from pathlib import Path
from typing import Final

import msgspec

from application.commands.access import StartVisitorSession
from application.commands.order import RegisterOrder
from application.commands.refund import RequestRefund, SetRefundPolicy
from application.ports.core import Command, Request
from domain.actors import SYSTEM, Actor, ActorKind, Role
from infrastructure.eventlog.reader import LogReader
from infrastructure.ipc.client import CoreClient

_AGENT: Final = Actor(ActorKind.AGENT, "benchmark", "Benchmark", Role.AGENT)
_CONVERSATIONS: Final = 200
_AMOUNT: Final = 1_000


class Ends:
    """Sagas that have ended, from the log as it grows."""

    def __init__(self, log_dir: Path) -> None:
        self._reader = LogReader(log_dir)
        self._position = self._reader.durable_position()
        self.completed: dict[str, float] = {}
        """Saga -> when its end was seen, `time.perf_counter()`."""
        self.other = 0

    def look(self) -> int:
        """Read on; how many have ended in all."""
        while True:
            found = self._reader.read_matching(
                self._position, 5_000, types=("saga.finished.v1",), categories=("saga",)
            )
            now = time.perf_counter()
            for event in found.events:
                if msgspec.json.decode(event.payload)["outcome"] == "completed":
                    self.completed[event.stream.partition("-")[2]] = now
                else:
                    self.other += 1
            self._position = found.next_position
            if self._position >= self._reader.durable_position():
                return len(self.completed) + self.other

    def close(self) -> None:
        """Release the files."""
        self._reader.close()


class Refunds:
    """Asks for refunds that the policy approves at once, each of an order of its own."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._conversations = [str(uuid.uuid4()) for _ in range(_CONVERSATIONS)]
        self._number = 0

    async def prepare(self, count: int) -> None:
        """Conversations, the policy, and orders for so many refunds; not timed."""
        await self._all(
            [
                StartVisitorSession(str(uuid.uuid4()), 2**62, str(uuid.uuid4()), conversation)
                for conversation in self._conversations
            ]
        )
        await self._send(SetRefundPolicy("CNY", _AMOUNT, _AMOUNT), SYSTEM)
        await self._all([RegisterOrder(f"B-{n}", _AMOUNT, "CNY") for n in range(1, count + 1)])

    async def ask(self) -> str:
        """One more."""
        self._number += 1
        id = str(uuid.uuid4())
        conversation = self._conversations[self._number % _CONVERSATIONS]
        order = f"B-{self._number}"
        request = RequestRefund(id, conversation, order, _AMOUNT, "CNY", "benchmark")
        await self._send(request, _AGENT)
        return id

    async def _all(self, commands: list[Command]) -> None:
        for first in range(0, len(commands), 1_000):
            some = commands[first : first + 1_000]
            await asyncio.gather(*(self._send(command, SYSTEM) for command in some))

    async def _send(self, command: Command, actor: Actor) -> None:
        await self._core.execute(Request(command, actor, "benchmark"))
