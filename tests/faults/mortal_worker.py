"""The real role `automation`, which kills itself at one point of one order's refund.

`KEFU_TEST_DIE_AT` is `WHEN OPERATION ORDER`: `before`, the intent is on disk and the call not made;
`after`, the call is answered and nobody knows; `told`, the core has the outcome.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from application.ports.core import Core, Receipt, Request
from application.ports.participants import Participant
from application.sagas.outcome import CallOutcome
from interfaces import settings as all_settings
from interfaces.bootstrap import sagas
from interfaces.cli import roles

WHEN, OPERATION, ORDER = os.environ["KEFU_TEST_DIE_AT"].split()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class MortalParticipant:
    """`Participant` that takes its process with it."""

    def __init__(self, inner: Participant, doomed: set[str]) -> None:
        self._inner = inner
        self._doomed = doomed

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        mine = operation == OPERATION and f'"{ORDER}"'.encode() in body
        if mine and WHEN == "before":
            die()
        outcome = await self._inner.call(operation, key, body, timeout_s)
        if mine and WHEN == "after":
            die()
        if mine:
            self._doomed.add(key)
        return outcome

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        return await self._inner.look_up(operation, key, timeout_s)


class MortalCore:
    """`Core` whose answer about a doomed key is the last thing that its process hears."""

    def __init__(self, inner: Core, doomed: set[str]) -> None:
        self._inner = inner
        self._doomed = doomed

    async def execute(self, request: Request) -> Receipt:
        receipt = await self._inner.execute(request)
        if getattr(request.command, "key", None) in self._doomed:
            die()
        return receipt

    async def query(self, query: Any) -> Any:
        return await self._inner.query(query)


def main() -> int:
    doomed = set[str]()
    real_participants, real_worker = sagas.participants, sagas.saga_worker

    @asynccontextmanager
    async def participants(settings: Any, core: Core) -> AsyncIterator[Mapping[str, Participant]]:
        async with real_participants(settings, core) as found:
            yield {name: MortalParticipant(one, doomed) for name, one in found.items()}

    @asynccontextmanager
    async def worker(settings: Any, core: Core) -> AsyncIterator[Any]:
        async with real_worker(settings, MortalCore(core, doomed)) as found:
            yield found

    sagas.participants = participants  # type: ignore[assignment]
    sagas.saga_worker = worker  # type: ignore[assignment]
    return roles.run_role("automation", all_settings.load(os.environ))


if __name__ == "__main__":
    sys.exit(main())
