"""Role `link`: lets gateways on other machines use the core, the web role and the log."""

import asyncio
import signal
from typing import Protocol

import structlog
import uvloop

from domain.errors import InvalidInput
from interfaces.link_settings import LinkAddress

_log = structlog.get_logger(__name__)


class LinkEnd(Protocol):
    """What listens."""

    async def open(self, host: str, port: int) -> int:
        """Begin to listen; raises OSError."""

    async def close(self) -> None:
        """End every connection."""


def run(address: LinkAddress, end: LinkEnd) -> int:
    """Serve until SIGTERM; returns the exit status.

    Raises:
        InvalidInput: the address can't be listened on.
    """
    return uvloop.run(_serve(address, end))


async def _serve(address: LinkAddress, end: LinkEnd) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    try:
        port = await end.open(*address)
    except OSError as error:
        raise InvalidInput(
            f"KEFU_LINK_LISTEN: can't listen on {address.host}:{address.port}: {error.strerror}."
        ) from error
    _log.info("link.listening", host=address.host, port=port)
    await stop.wait()
    await end.close()
    return 0
