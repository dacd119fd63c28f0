"""TLS in the gateway: the same `/ws` and the same HTTP, encrypted."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.interfaces.gateway.test_tls import make_certificate
from tests.interfaces.gateway.world import World, hear, tell, world_in


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[World, ssl.SSLContext]]:
    certificate, key = make_certificate(tmp_path, "kefu")
    context = ssl.create_default_context(cafile=str(certificate))
    settings = {"tls_certificate": str(certificate), "tls_key": str(key)}
    async with world_in(tmp_path, gateway=True, **settings) as world:
        yield world, context


async def test_a_websocket_over_tls_sends_is_acked_and_is_told(
    secure: tuple[World, ssl.SSLContext],
) -> None:
    world, context = secure
    visitor = await world.visitor()
    headers = {"Authorization": f"Bearer {visitor.secret}"}
    url = f"wss://127.0.0.1:{world.port}/ws"
    async with connect(
        url, ssl=context, additional_headers=headers, subprotocols=["kefu.v1"]
    ) as socket:
        conversation = {"conversation_id": visitor.conversation_id}
        await tell(socket, type="subscribe", after_seq=0, **conversation)
        await hear(socket, "subscribed")
        content = "字" * 10_000  # more than one TLS record
        await tell(socket, type="send", ref="1", content=content, **conversation)
        heard = [await hear(socket), await hear(socket)]
        assert {frame["type"] for frame in heard} == {"ack", "message"}
        assert [f["content"] for f in heard if f["type"] == "message"] == [content]
        assert world.hub.stats.connections == 1
    await world.until(lambda: world.hub.stats.connections == 0)
    assert world.gateway is not None
    assert not world.gateway.loop.clients


async def test_http_over_tls_is_relayed_and_the_web_role_knows_the_scheme(
    secure: tuple[World, ssl.SSLContext],
) -> None:
    world, context = secure
    base = f"https://127.0.0.1:{world.port}"
    async with httpx.AsyncClient(base_url=base, verify=context) as client:
        answer = await client.post("/api/v1/widget/sessions", json={})
        assert answer.status_code == 201
        assert answer.json()["ws_url"].startswith("wss://")
    assert world.gateway is not None
    relay = world.gateway.relay
    await world.until(lambda: relay.open == 0)


async def test_a_client_that_speaks_no_tls_is_dropped_and_others_are_served(
    secure: tuple[World, ssl.SSLContext],
) -> None:
    world, context = secure
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(60):
        assert b"HTTP/1.1 200" not in await reader.read()
    writer.close()
    assert world.gateway is not None
    assert world.gateway.tls is not None
    assert world.gateway.tls.failed == 1
    async with httpx.AsyncClient(verify=context) as client:
        answer = await client.get(f"https://127.0.0.1:{world.port}/healthz")
    assert json.loads(answer.content)
