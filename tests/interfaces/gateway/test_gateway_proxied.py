"""A gateway behind a proxy that speaks PROXY v2, and the web role behind that gateway."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from interfaces.gateway.proxy_protocol import LOCAL, Endpoint, encode
from tests.interfaces.gateway.world import World, hear, tell, world_in

CLIENT, OTHER = Endpoint("203.0.113.7", 40_000), Endpoint("2001:db8::7", 40_000)
SERVER = Endpoint("192.0.2.1", 443)
SETTINGS = {"trusted_proxies": "127.0.0.0/8", "proxy_protocol": "v2", "sessions_per_minute": "1"}


def request(**headers: str) -> bytes:
    shown = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        "POST /api/v1/widget/sessions HTTP/1.1\r\nHost: kefu.example\r\nContent-Length: 0\r\n"
        f"Connection: close\r\n{shown}\r\n"
    ).encode()


async def said(world: World, data: bytes, size: int = 10_000) -> tuple[int, Any]:
    """Status and body of the answer to these bytes, in pieces; status 0: there is none."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        try:
            for at in range(0, len(data), size):
                writer.write(data[at : at + size])
                await writer.drain()
                await asyncio.sleep(0)
            answer = await reader.read()
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)) if head else (0, None)


async def test_rate_limits_count_by_the_client_that_the_proxy_names(tmp_path: Path) -> None:
    async with world_in(tmp_path, gateway=True, **SETTINGS) as world:
        mine, other = encode(CLIENT, SERVER), encode(OTHER, SERVER)
        assert (await said(world, mine + request()))[0] == 201
        assert (await said(world, mine + request(), size=1))[0] == 429
        assert (await said(world, other + request(), size=1))[0] == 201
        # The client is no proxy itself: what it claims is not believed.
        claim = request(X_Forwarded_For="198.51.100.1")
        assert (await said(world, mine + claim))[0] == 429


async def test_an_http_proxys_header_is_read_through_the_gateway(tmp_path: Path) -> None:
    settings = SETTINGS | {"proxy_protocol": "off"}
    async with world_in(tmp_path, gateway=True, **settings) as world:
        statuses = [
            (await said(world, request(X_Forwarded_For=address)))[0]
            for address in ("203.0.113.7", "6.6.6.6, 203.0.113.7", "203.0.113.8")
        ]
    assert statuses == [201, 429, 201]


async def test_a_client_that_spoke_tls_to_the_proxy_gets_a_wss_url(tmp_path: Path) -> None:
    async with world_in(tmp_path, gateway=True, **SETTINGS) as world:
        _, body = await said(world, encode(CLIENT, SERVER, tls=True) + request())
        assert body["ws_url"] == "wss://kefu.example/ws"
        _, body = await said(world, encode(OTHER, SERVER) + request())
        assert body["ws_url"] == "ws://kefu.example/ws"


async def test_a_websocket_begins_behind_its_proxy_header(tmp_path: Path) -> None:
    async with world_in(tmp_path, gateway=True, **SETTINGS) as world:
        visitor = await world.visitor()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", world.port)
            far_writer.write(encode(CLIENT, SERVER))
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65_536):
                writer.write(data)
            writer.close()

        async with await asyncio.start_server(relay, "127.0.0.1", 0) as proxy:
            url = f"ws://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/ws"
            headers = {"Authorization": f"Bearer {visitor.secret}"}
            async with connect(url, additional_headers=headers) as socket:
                await tell(socket, type="ping", ref="1")
                assert (await hear(socket))["ref"] == "1"


async def test_a_proxys_health_check_is_answered(tmp_path: Path) -> None:
    async with world_in(tmp_path, gateway=True, **SETTINGS) as world:
        assert (await said(world, LOCAL + request()))[0] == 201


@pytest.mark.parametrize("data", [request(), b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + request()])
async def test_a_trusted_peer_that_sends_no_header_is_dropped_and_counted(
    tmp_path: Path, data: bytes
) -> None:
    async with world_in(tmp_path, gateway=True, **SETTINGS) as world:
        assert (await said(world, data)) == (0, None)
        assert world.gateway is not None
        assert world.gateway.bad_proxy_headers == 1
        await world.until(lambda: world.gateway is not None and not world.gateway.loop.clients)


async def test_a_header_of_others_is_no_request(tmp_path: Path) -> None:
    settings = SETTINGS | {"trusted_proxies": "10.0.0.0/8"}
    async with world_in(tmp_path, gateway=True, **settings) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(encode(CLIENT, SERVER) + request())
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 400")
        writer.close()
