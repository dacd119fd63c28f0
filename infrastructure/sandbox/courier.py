"""Sends callbacks, signed, until they are taken; and makes the changes that they speak of."""

import asyncio
import random
import time
from typing import Final

import aiohttp

from infrastructure.providers.webhooks import sign
from infrastructure.sandbox.committer import Committer
from infrastructure.sandbox.settlement import DueCallback, Settlement

_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0
_TIMEOUT_S: Final = 15.0
_AT_ONCE: Final = 32


class Courier:
    """Works until cancelled.

    Args:
        url: Where callbacks go; None: nowhere.
        secret: Signs them.
    """

    def __init__(
        self, committer: Committer, settlement: Settlement, url: str | None, secret: bytes
    ) -> None:
        self._committer = committer
        self._settlement = settlement
        self._url = url
        self._secret = secret
        self._wake = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}

    def notice(self) -> None:
        """Something new will change by itself."""
        self._wake.set()

    async def work(self) -> None:
        """Make changes when their time comes, and send."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=_AT_ONCE), trust_env=False
        ) as session:
            try:
                while True:
                    await self._turn(session)
            finally:
                sending = [*self._sending.values()]
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)

    async def _turn(self, session: aiohttp.ClientSession) -> None:
        self._wake.clear()
        sending = frozenset(self._sending)
        advance = await self._committer.run(lambda: self._settlement.advance(sending))
        for callback in advance.due[: max(0, _AT_ONCE - len(sending))]:
            self._sending[callback.id] = asyncio.create_task(self._send(session, callback))
        if advance.next_us is None:
            wait_s = None
        else:
            wait_s = max(0.0, advance.next_us / 1e6 - time.time())
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send(self, session: aiohttp.ClientSession, callback: DueCallback) -> None:
        try:
            if await self._taken(session, callback):
                await self._committer.run(lambda: self._settlement.delivered(callback.id))
            else:
                most_s = min(_FIRST_WAIT_S * 2 ** min(callback.attempts, 10), _LONGEST_WAIT_S)
                wait_s = most_s * random.uniform(0.5, 1.0)
                await self._committer.run(lambda: self._settlement.failed(callback.id, wait_s))
        finally:
            del self._sending[callback.id]
            self._wake.set()

    async def _taken(self, session: aiohttp.ClientSession, callback: DueCallback) -> bool:
        if self._url is None:
            return False
        now_s = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": callback.id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": sign(self._secret, callback.id, now_s, callback.body),
        }
        try:
            async with session.post(
                self._url, data=callback.body, headers=headers, allow_redirects=False
            ) as response:
                return 200 <= response.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
