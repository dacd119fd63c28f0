"""Commands over the Unix socket: what one caller sends never harms another."""

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from application.commands.bus import CommandBus
from application.commands.message import SendMessage
from application.ports.core import Receipt, Request
from application.ports.event_store import IndexProgress, IndexRebuilding
from domain.actors import SYSTEM
from domain.errors import ContentTooLong, InvalidInput, Unavailable
from infrastructure.ipc.client import CoreClient
from infrastructure.ipc.server import CoreServer


class EchoBus:
    """Answers every send with its content; refuses what is named `refuse`."""

    def submit(self, request: Request, done: Callable[[Receipt | Exception], None]) -> None:
        assert isinstance(request.command, SendMessage)
        content = request.command.content
        if content == "refuse":
            raise ContentTooLong("much too long", "content")
        if content == "rebuild":
            raise IndexRebuilding(IndexProgress(17, 50), None)
        if content == "bug":
            done(ZeroDivisionError())
        elif content != "never":
            done(Receipt(1, {"content": content}))


def send(content: str) -> Request:
    return Request(SendMessage("c", "ref", content), SYSTEM, "test")


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    server = CoreServer(cast(CommandBus, EchoBus()))
    await server.start(tmp_path / "core.sock")
    yield tmp_path / "core.sock"
    await server.close()


@pytest.fixture
async def client(path: Path) -> AsyncIterator[CoreClient]:
    core = CoreClient(path)
    await core.open()
    await core.wait_connected(5)
    yield core
    await core.close()


async def test_a_refusal_by_an_index_that_is_rebuilt_keeps_its_class_and_sentence(
    client: CoreClient,
) -> None:
    with pytest.raises(IndexRebuilding, match=r"being rebuilt: 34 % of 50 events") as refused:
        await client.execute(send("rebuild"))
    assert refused.value.code == "index-rebuilding"


async def test_calls_of_one_turn_each_get_their_own_answer(client: CoreClient) -> None:
    futures = [client.execute(send(str(number))) for number in range(100)]
    receipts = await asyncio.wait_for(asyncio.gather(*futures), 60)
    assert [r.result["content"] for r in receipts] == [str(number) for number in range(100)]


async def test_a_lone_surrogate_is_refused_and_its_neighbours_in_the_frame_are_answered(
    client: CoreClient,
) -> None:
    futures = [client.execute(send(content)) for content in ("before", "\ud800", "behind")]
    before, bad, behind = await asyncio.wait_for(
        asyncio.gather(*futures, return_exceptions=True), 5
    )
    assert isinstance(bad, InvalidInput)
    assert [cast(Any, r).result["content"] for r in (before, behind)] == ["before", "behind"]


async def test_an_error_comes_out_as_its_class_with_its_field(client: CoreClient) -> None:
    with pytest.raises(ContentTooLong, match="much too long") as raised:
        await asyncio.wait_for(client.execute(send("refuse")), 60)
    assert raised.value.field == "content"


async def test_a_bug_in_the_core_shows_no_internals(client: CoreClient) -> None:
    with pytest.raises(Exception, match="see its log") as raised:
        await asyncio.wait_for(client.execute(send("bug")), 60)
    assert "ZeroDivision" not in str(raised.value)


async def test_calls_under_way_fail_when_the_connection_ends(client: CoreClient) -> None:
    future = asyncio.ensure_future(client.execute(send("never")))
    await asyncio.wait_for(client.execute(send("sent")), 60)
    await client.close()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(future, 5)


async def test_without_a_core_a_call_fails_at_once(tmp_path: Path) -> None:
    core = CoreClient(tmp_path / "nobody.sock")
    await core.open()
    with pytest.raises(Unavailable):
        await core.execute(send("x"))
    with pytest.raises(Unavailable):
        await core.wait_connected(0.2)
    await core.close()


async def test_the_client_finds_a_core_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "core.sock"
    core = CoreClient(path)
    await core.open()
    server = CoreServer(cast(CommandBus, EchoBus()))
    await server.start(path)
    await core.wait_connected(5)
    assert (await core.execute(send("late"))).result == {"content": "late"}
    await core.close()
    await server.close()


async def test_only_the_owner_may_open_the_socket(path: Path) -> None:
    found = await asyncio.to_thread(path.stat)
    assert stat.S_IMODE(found.st_mode) == 0o600


async def test_bytes_that_are_no_frame_end_that_connection_only(
    path: Path, client: CoreClient
) -> None:
    for garbage in (b"\xff\xff\xff\xff" * 4, b"\x03\x00\x00\x00\xc1\xc1\xc1"):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(garbage)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
        await writer.wait_closed()
    assert (await client.execute(send("still"))).result == {"content": "still"}
