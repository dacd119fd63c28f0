"""How the command line talks to the running core, as the system itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from application.ports.core import Core, Request
from domain.actors import SYSTEM
from domain.errors import Unavailable
from interfaces.bootstrap import clients
from interfaces.cli.output import fail
from interfaces.settings import Settings

_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 30.0


async def execute(settings: Settings, command: Any) -> Any:
    """The receipt of a command."""
    async with _core(settings) as core:
        return await core.execute(Request(command, SYSTEM, "command-line"))


async def query(settings: Settings, question: Any) -> Any:
    """The answer to a core query."""
    async with _core(settings) as core:
        return await core.query(question)


@asynccontextmanager
async def _core(settings: Settings) -> AsyncIterator[Core]:
    client = clients.core_client(settings)
    await client.open()
    try:
        await client.wait_connected(_CONNECT_S)
    except Unavailable:
        await client.close()
        message = f"the kefu of {settings.data_dir} is not reachable; start it first"
        raise fail(message, 1) from None
    try:
        async with asyncio.timeout(_ANSWER_S):
            yield client
    except TimeoutError:
        raise fail("kefu's core does not answer", 1) from None
    finally:
        await client.close()
