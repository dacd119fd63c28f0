"""The client of docs/howto/talk-over-websocket.md, as it stands there, against a real system."""

import asyncio
import re
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.browser.proxy import CuttableProxy
from tests.end_to_end.people import API, World
from tests.serving import Kefu, wait_until

PAGE = Path(__file__).parents[2] / "docs/howto/talk-over-websocket.md"
WAIT_S = 60.0


def client_class() -> Any:
    (code,) = re.findall(r"```python\n# test: talk\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), module)
    return module["Talk"]


@pytest.fixture
def relay(kefu: Kefu) -> Iterator[CuttableProxy]:
    proxy = CuttableProxy(kefu.port)
    yield proxy
    proxy.close()


@asynccontextmanager
async def talking(talk: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(talk.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, PermissionError):
            await task


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition, WAIT_S, "the client is done")


def talk_of(session: dict[str, Any], port: int, shown: list[Any]) -> Any:
    url = urllib.parse.urlsplit(session["ws_url"])._replace(netloc=f"127.0.0.1:{port}").geturl()
    return client_class()(url, session["token"], session["conversation_id"], shown.append)


async def test_the_client_shows_everything_once_and_in_order_however_often_it_is_cut_off(
    world: World, visitor: dict[str, Any], relay: CuttableProxy
) -> None:
    kefu, shown = world.kefu, list[Any]()
    path = f"{API}/conversations/{visitor['conversation_id']}/messages"
    talk = talk_of(visitor, relay.port, shown)
    async with talking(talk):
        await talk.send("0")
        await until(lambda: len(shown) == 1)
        for number in range(1, 4):
            # The connection breaks before, while or after the frame and its ack are on their way.
            await talk.send(f"{number}")
            relay.cut()
            body = {"content": f"answer {number}"}
            await asyncio.to_thread(kefu.post, path, body, world.agent)
            await talk.send(f"{number} offline")
            relay.mend()
            await until(lambda: not talk.unacknowledged)
        await until(lambda: len(shown) == 10)
    headers = {"Kefu-Min-Position": str(max(message["position"] for message in shown))}
    _, stored = await asyncio.to_thread(kefu.get, path, visitor["token"], headers=headers)
    told = [{key: message[key] for key in message if key != "type"} for message in shown]
    assert told == stored["data"]
    assert sorted(message["content"] for message in shown) == sorted(
        ["0", *(f"{text}" for n in range(1, 4) for text in (n, f"{n} offline", f"answer {n}"))]
    )


async def test_a_refused_message_is_not_sent_for_ever(
    visitor: dict[str, Any], relay: CuttableProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = talk_of(visitor, relay.port, [])
    async with talking(talk):
        await talk.send(" ")
        await until(lambda: not talk.unacknowledged)
    assert "refused: The content is empty" in capsys.readouterr().out


async def test_the_client_stops_when_its_token_has_ended(
    world: World, relay: CuttableProxy
) -> None:
    kefu, shown = world.kefu, list[Any]()
    visitor = kefu.visitor()
    token = kefu.agent()[1]
    talk = talk_of({**visitor, "token": token}, relay.port, shown)
    async with talking(talk) as task:
        await talk.send("hello")
        await until(lambda: shown)
        status, _, _ = await asyncio.to_thread(
            kefu.request, "POST", f"{API}/auth/logout", None, token
        )
        assert status == 204
        with pytest.raises(PermissionError):
            await asyncio.wait_for(task, WAIT_S)
