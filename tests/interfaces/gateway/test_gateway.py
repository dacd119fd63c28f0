"""The gateway's own business: what is no WebSocket, clients that never say what they want."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from interfaces.gateway.connection import Connection
from interfaces.gateway.limits import Deadlines, Refusal
from tests.interfaces.gateway.world import World, close_code, hear, tell, world_in


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[World]:
    """A web role behind a gateway."""
    async with world_in(tmp_path, gateway=True) as running:
        yield running


async def said(world: World, *parts: bytes, eof: bool = False) -> bytes:
    """All that the server answers to these bytes until it closes."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if eof:
            writer.write_eof()
        answer = await reader.read()
        writer.close()
    return answer


async def test_http_on_the_same_port_is_answered_by_the_web_role(behind: World) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{behind.port}") as client:
        for _ in range(3):  # over one connection
            answer = await client.get("/healthz")
            assert answer.status_code == 200
        answer = await client.post("/api/v1/widget/sessions", json={"name": "字" * 40_000})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        page = await client.get("/console")
        assert "<html" in page.text
    assert behind.gateway is not None
    assert behind.gateway.relay.relayed == 1
    await behind.until(lambda: behind.gateway is not None and behind.gateway.relay.open == 0)


async def test_a_request_in_pieces_with_a_half_closed_connection_is_answered(
    behind: World,
) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await said(behind, *(request[n : n + 1] for n in range(len(request))), eof=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_request_for_ws_that_is_no_upgrade_is_answered_as_by_the_web_role(
    behind: World,
) -> None:
    answer = await said(behind, b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_without_a_web_role_http_is_answered_502_and_websockets_live_on(
    behind: World,
) -> None:
    visitor = await behind.visitor()
    async with visitor.connect() as socket:
        (behind.directory / "web.sock").unlink()
        answer = await said(behind, b"GET /console HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert b"retry-after: 1" in head.lower()
        assert json.loads(body)["code"] == "unavailable"
        await tell(socket, type="ping", ref="1")
        assert (await hear(socket))["type"] == "pong"
    assert behind.gateway is not None
    assert behind.gateway.relay.failed == 1


async def test_a_head_without_end_is_refused(behind: World) -> None:
    answer = await said(behind, b"GET /ws HTTP/1.1\r\n", b"X: y\r\n" * 4_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_client_that_never_says_what_it_wants_is_closed(
    behind: World,
) -> None:
    assert behind.gateway is not None
    behind.gateway.limits.handshakes = Deadlines(0.1, time.monotonic())
    answer = await said(behind, b"GET /w")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert behind.gateway.limits.refused[Refusal.HANDSHAKE_TIME] == 1


async def test_frames_that_come_with_the_handshake_are_not_lost(behind: World) -> None:
    visitor = await behind.visitor()
    payload = b'{"type":"ping","ref":"early"}'
    frame = bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload
    bye = bytes((0x88, 0x82, 0, 0, 0, 0)) + (1000).to_bytes(2, "big")
    request = (
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {visitor.secret}\r\n\r\n"
    ).encode()
    answer = await said(behind, request + frame[:7], frame[7:] + bye)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b'"pong"' in answer
    assert answer.endswith(bytes((0x88, 2)) + (1000).to_bytes(2, "big"))


async def test_a_client_that_goes_during_its_handshake_leaves_nothing_behind(
    behind: World,
) -> None:
    visitor = await behind.visitor()
    request = (
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {visitor.secret}\r\n\r\n"
    ).encode()
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", behind.port)
        writer.write(request)
        writer.transport.abort()
    assert behind.gateway is not None
    clients = behind.gateway.loop.clients
    await behind.until(lambda: not clients and behind.hub.stats.connections == 0)


async def test_a_bug_that_one_client_meets_ends_that_client_only(
    behind: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await behind.visitor(), await behind.visitor()
    receive = Connection.receive

    def failing(self: Connection, text: str) -> None:
        if "poison" in text:
            raise RuntimeError("a bug")
        receive(self, text)

    monkeypatch.setattr(Connection, "receive", failing)
    async with one.connect() as hit, other.connect() as spared:
        await tell(hit, type="ping", ref="poison")
        await tell(spared, type="ping", ref="1")
        assert (await hear(spared))["type"] == "pong"
        assert await close_code(hit) == 1006  # closed without a word
        await tell(spared, type="ping", ref="2")
        assert (await hear(spared))["ref"] == "2"
    await behind.until(lambda: behind.hub.stats.connections == 0)
