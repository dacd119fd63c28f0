"""Clients that keep talking while processes die, and what must be true of their talk afterwards."""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.serving import Kefu, wait_until

_PAUSE_S = 0.1
"""Between two messages of one client, so that there is not more to check than was lost."""
_RETRY_S = 0.25
_RECOVERY_S = 120.0
_SETTLE_S = 120.0
_TRY_AGAIN = frozenset({"unavailable", "busy", "store-read-only", "index-rebuilding"})


@dataclass
class Talker:
    """A visitor that sends one message after the other and repeats whatever was not acknowledged.

    With `window` 1 the order of its messages is the order of their refs; with more, several are
    under way when a process dies, and only the order of their seq is promised.
    """

    kefu: Kefu
    token: str
    conversation_id: str
    window: int
    pause_s: float = _PAUSE_S
    acks: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    """Refs of the messages that came live or by replay; the one with seq n at n - 1."""
    reconnects: int = 0
    talking: bool = True
    _waiting: dict[str, None] = field(default_factory=dict)
    """Refs without an ack, in their order."""
    _refs: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def finished(self) -> bool:
        """Said all, and everything was acknowledged and heard."""
        return not self.talking and not self._waiting and len(self.heard) == len(self.acks)

    async def talk(self) -> None:
        """Until `finished`; reconnects for ever."""
        while not self.finished:
            try:
                async with connect(
                    self.kefu.ws_url,
                    subprotocols=["kefu.v1", f"bearer.{self.token}"],  # type: ignore[list-item]
                    compression=None,
                    max_queue=None,
                    open_timeout=5,
                    close_timeout=1,
                ) as socket:
                    await self._converse(socket)
            except* (OSError, TimeoutError, WebSocketException):
                self.reconnects += 1
                await asyncio.sleep(_RETRY_S)

    async def _converse(self, socket: ClientConnection) -> None:
        await self._subscribe(socket)
        for ref in self._waiting:
            await self._send(socket, ref)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._keep_sending(socket))
            try:
                while not self.finished:
                    async with asyncio.timeout(1.0):
                        text = await socket.recv()
                    await self._take(socket, json.loads(text), group)
            except TimeoutError:
                # Silence: an answer may have died with a process. The same refs again do no harm.
                if not self.finished:
                    raise
            finally:
                sending.cancel()

    async def _keep_sending(self, socket: ClientConnection) -> None:
        while True:
            if self.talking and len(self._waiting) < self.window:
                ref = f"{next(self._refs):06}"
                self._waiting[ref] = None
                await self._send(socket, ref)
            await asyncio.sleep(self.pause_s)

    async def _subscribe(self, socket: ClientConnection) -> None:
        await self._tell(socket, type="subscribe", after_seq=len(self.heard))

    async def _send(self, socket: ClientConnection, ref: str) -> None:
        await self._tell(socket, type="send", ref=ref, content=f"message {ref}")

    async def _tell(self, socket: ClientConnection, **frame: Any) -> None:
        await socket.send(json.dumps({"conversation_id": self.conversation_id, **frame}))

    async def _take(
        self, socket: ClientConnection, frame: dict[str, Any], group: asyncio.TaskGroup
    ) -> None:
        match frame["type"]:
            case "ack":
                self._acknowledged(frame)
            case "message":
                assert frame["seq"] == len(self.heard) + 1, "a gap or a repeat in what was heard"
                self.heard.append(frame["content"].removeprefix("message "))
            case "error":
                assert frame["code"] in _TRY_AGAIN, frame
                # Beside the listening: what was said behind this error is heard meanwhile.
                group.create_task(self._try_again(socket, frame["ref"]))

    async def _try_again(self, socket: ClientConnection, ref: str | None) -> None:
        await asyncio.sleep(_RETRY_S)
        if ref is None:
            await self._subscribe(socket)
        else:
            await self._send(socket, ref)

    def _acknowledged(self, ack: dict[str, Any]) -> None:
        ref = ack["ref"]
        self._waiting.pop(ref, None)
        # A ref that was sent again is acknowledged again, in the same words.
        assert self.acks.setdefault(ref, ack) == ack, "two acks of one ref differ"


def check(kefu: Kefu, talker: Talker) -> None:
    """Nothing that was acknowledged is lost, doubled or elsewhere; the views agree."""
    rows = _messages(kefu, talker)
    refs = [row["content"].removeprefix("message ") for row in rows]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1)), "seq has gaps"
    assert len(set(refs)) == len(refs), "a message is there twice"
    assert set(refs) == set(talker.acks), "not exactly the acknowledged messages are there"
    for row, ref in zip(rows, refs, strict=True):
        ack = talker.acks[ref]
        found = (row["message_id"], row["seq"], row["position"])
        assert found == (ack["message_id"], ack["seq"], ack["position"]), "not as acknowledged"
    assert talker.heard == refs, "what was heard is not what is there"
    if talker.window == 1:
        assert refs == sorted(refs), "out of order"


def _messages(kefu: Kefu, talker: Talker) -> list[dict[str, Any]]:
    newest = max((ack["position"] for ack in talker.acks.values()), default=0)
    rows: list[dict[str, Any]] = []
    while True:
        status, body = kefu.get(
            f"/api/v1/conversations/{talker.conversation_id}/messages"
            f"?limit=200&after_seq={len(rows)}",
            talker.token,
            headers={"Kefu-Min-Position": str(newest)},
        )
        assert status == 200, body
        rows += body["data"]
        if not body["meta"]["has_more"]:
            return rows


@contextlib.asynccontextmanager
async def conversation(
    kefu: Kefu, number: int, *, pause_s: float = _PAUSE_S
) -> AsyncIterator[list[Talker]]:
    """Clients that talk while the body kills, then say no more; then everything is checked."""
    sessions = [await asyncio.to_thread(kefu.visitor) for _ in range(number)]
    talkers = [
        Talker(kefu, session["token"], session["conversation_id"], 1 if at % 2 else 4, pause_s)
        for at, session in enumerate(sessions)
    ]
    async with asyncio.TaskGroup() as group:
        for talker in talkers:
            group.create_task(talker.talk())
        yield talkers
        for talker in talkers:
            talker.talking = False
        await until(lambda: all(t.finished for t in talkers), _SETTLE_S, "everybody finished")
    for talker in talkers:
        await asyncio.to_thread(check, kefu, talker)
    assert kefu.cli("log", "verify", check=False).returncode == 0


async def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    await asyncio.to_thread(wait_until, condition, timeout_s, what)


async def kill_in_the_middle(
    talkers: list[Talker], kill: Callable[[], Awaitable[None]], moment: random.Random
) -> None:
    """Kill while messages are under way, then wait until they get through again."""
    await asyncio.sleep(moment.uniform(0.0, 0.3))
    await kill()
    before = acknowledged(talkers)
    # Some more than were under way: acks of the time before may still be on the wire.
    enough = before + 3 * len(talkers)
    await until(lambda: acknowledged(talkers) > enough, _RECOVERY_S, "acks after the kill")


def acknowledged(talkers: list[Talker]) -> int:
    return sum(len(talker.acks) for talker in talkers)
