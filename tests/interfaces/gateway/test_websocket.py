"""`/ws` on a real uvicorn, with the `websockets` client: handshake, close codes, acks."""

import asyncio
import json
import logging
import socket as sockets
import struct
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from domain.actors import Role
from tests.interfaces.gateway.world import (
    Person,
    World,
    close_code,
    hear,
    hear_until,
    tell,
)


async def send(socket: ClientConnection, person: Person, ref: str, content: str = "hi") -> None:
    await tell(
        socket,
        type="send",
        ref=ref,
        conversation_id=person.conversation_id,
        content=content,
    )


# Handshake.


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {}), ("?token=wrong", {}), ("", {"Authorization": "Bearer wrong"})],
)
async def test_without_a_valid_token_the_handshake_is_refused(
    world: World, query: str, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with world.connect(query, additional_headers=headers):
            pass
    response = caught.value.response
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.body or b"")["code"] == "unauthenticated"


async def test_a_browser_with_a_bad_token_is_let_in_and_told_by_4401(world: World) -> None:
    async with world.connect(subprotocols=["kefu.v1", "bearer.wrong"]) as socket:
        assert socket.subprotocol == "kefu.v1"
        assert await close_code(socket) == 4401


async def test_the_token_comes_in_three_ways(world: World) -> None:
    visitor = await world.visitor()
    bearer = {"Authorization": f"Bearer {visitor.secret}"}
    for connection in (
        world.connect(f"?token={visitor.secret}"),
        world.connect(additional_headers=bearer),
        world.connect(subprotocols=["kefu.v1", f"bearer.{visitor.secret}"]),
        world.connect(subprotocols=[f"bearer.{visitor.secret}", "kefu.v1"]),
    ):
        async with connection as socket:
            assert socket.subprotocol == "kefu.v1"
            await tell(socket, type="ping", ref="p")
            assert await hear(socket) == {"type": "pong", "ref": "p"}


async def test_a_page_of_any_origin_may_connect(world: World) -> None:
    """A bearer token is not ambient: no page has it that was not given it."""
    visitor = await world.visitor()
    async with visitor.connect(origin="https://shop.example") as socket:
        await tell(socket, type="ping")
        assert (await hear(socket))["type"] == "pong"


async def test_no_log_line_holds_the_token(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    visitor = await world.visitor()
    caplog.set_level(logging.WARNING)  # as infrastructure.telemetry.logs sets it
    async with world.connect(f"?token={visitor.secret}") as socket:
        await tell(socket, type="ping")
        await hear(socket)
    out, err = capfd.readouterr()
    assert visitor.secret not in caplog.text + out + err


# What closes a connection.


async def test_a_binary_frame_closes_with_1003(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await socket.send(b'{"type":"ping"}')
        assert await close_code(socket) == 1003


@pytest.mark.parametrize("data", [b"hello", b"", b'"\xff"'])
async def test_text_that_is_not_json_or_not_utf8_closes_with_1007(
    world: World, data: bytes
) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await socket.send(data, text=True)
        assert await close_code(socket) == 1007


async def test_a_frame_over_64_kib_closes_with_1009_and_one_below_does_not(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        content = "字" * 16_384
        await send(socket, visitor, "longest", content)
        assert (await hear(socket))["type"] == "ack"
        await socket.send('{"type":"ping","ref":"' + "r" * 65_536 + '"}')
        assert await close_code(socket) == 1009


async def test_a_bad_and_broken_frame_closes_with_1007(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await socket.send('{"type":"dance"')
        assert await close_code(socket) == 1007


async def test_a_bad_frame_is_an_error_and_the_connection_stays(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await tell(socket, type="dance", ref="r")
        error = await hear(socket)
        assert (error["type"], error["ref"], error["code"]) == ("error", "r", "invalid-input")
        await tell(socket, type="ping")
        assert (await hear(socket))["type"] == "pong"


async def test_shutdown_closes_with_1012(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await tell(socket, type="ping")
        await hear(socket)
        stopping = asyncio.create_task(world.stop_server())
        assert await close_code(socket) == 1012
        await stopping


async def test_an_expiring_token_closes_with_4401(world: World) -> None:
    visitor = await world.visitor(expires_in_s=0.3)
    async with visitor.connect() as socket:
        assert await close_code(socket) == 4401


async def test_a_log_out_closes_with_4401_at_once(world: World) -> None:
    agent = await world.agent()
    async with agent.connect() as socket:
        await tell(socket, type="ping")
        await hear(socket)
        await world.log_out(agent)
        assert await close_code(socket) == 4401
    with pytest.raises(InvalidStatus):
        async with agent.connect():
            pass


# Sending.


async def test_the_ack_leaves_only_when_the_message_is_on_disk(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        before = world.log.durable_position
        world.store.gate.clear()
        await send(socket, visitor, "r")
        await tell(socket, type="ping", ref="after")
        assert (await hear(socket))["type"] == "pong"
        assert world.log.durable_position == before
        world.store.gate.set()
        ack = await hear(socket)
        assert ack["type"] == "ack"
        assert ack["position"] <= world.log.durable_position


async def test_the_same_ref_gets_the_same_ack_and_makes_one_message(world: World) -> None:
    visitor = await world.visitor()
    acks = []
    for _ in range(2):  # a second connection: the client did not see the first ack
        async with visitor.connect() as socket:
            for _ in range(2):
                await send(socket, visitor, "r")
                acks.append(await hear(socket))
    assert acks[1:] == acks[:-1]
    assert (acks[0]["seq"], acks[0]["ref"]) == (1, "r")
    messages = await world.views.messages(visitor.conversation_id, limit=9, include_private=True)
    assert len(messages) == 1


async def test_the_same_ref_with_another_content_is_refused(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await send(socket, visitor, "r", "one")
        await hear(socket, "ack")
        await send(socket, visitor, "r", "two")
        error = await hear(socket)
        assert (error["code"], error["ref"]) == ("ref-reused", "r")


async def test_sends_of_one_connection_are_acknowledged_in_their_order(world: World) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        for number in range(100):
            await send(socket, visitor, f"r{number}")
        acks = [await hear(socket) for _ in range(100)]
    assert [(ack["ref"], ack["seq"]) for ack in acks] == [(f"r{n}", n + 1) for n in range(100)]


@pytest.mark.parametrize(
    ("content", "code"),
    [("", "content-empty"), ("x" * 16_385, "content-too-long"), ("a\x00b", "content-invalid")],
)
async def test_a_bad_content_is_an_error_with_the_ref(
    world: World, content: str, code: str
) -> None:
    visitor = await world.visitor()
    async with visitor.connect() as socket:
        await send(socket, visitor, "r", content)
        error = await hear(socket)
        assert (error["type"], error["ref"], error["code"]) == ("error", "r", code)
        await send(socket, visitor, "r2")
        assert (await hear(socket))["seq"] == 1


async def test_who_may_send_what(world: World) -> None:
    visitor, other = await world.visitor(), await world.visitor()
    auditor = await world.agent(Role.AUDITOR)
    cases: list[tuple[Person, dict[str, Any], str]] = [
        (visitor, {"conversation_id": other.conversation_id}, "conversation-not-found"),
        (visitor, {"conversation_id": visitor.conversation_id, "private": True}, "forbidden"),
        (auditor, {"conversation_id": visitor.conversation_id}, "forbidden"),
    ]
    for person, fields, code in cases:
        async with person.connect() as socket:
            await tell(socket, type="send", ref="r", content="hi", **fields)
            assert (await hear(socket))["code"] == code


async def test_an_auditor_is_shown_nothing_before_its_reading_is_on_disk(world: World) -> None:
    visitor, auditor = await world.visitor(), await world.agent(Role.AUDITOR)
    async with visitor.connect() as socket:
        await send(socket, visitor, "r")
        await hear(socket, "ack")
    before = world.log.durable_position
    async with auditor.connect() as socket:
        await tell(socket, type="subscribe", conversation_id=visitor.conversation_id)
        await hear(socket, "message")
        (read,) = world.log.read(before, 10)
        assert read.type == "audit.read.v1"
        assert read.stream.startswith(f"audit-{auditor.actor.id}-")
    agent = await world.agent()
    before = world.log.durable_position
    async with agent.connect() as socket:
        await tell(socket, type="subscribe", conversation_id=visitor.conversation_id)
        await hear(socket, "message")
    assert world.log.durable_position == before


# Two people.


async def test_typing_reaches_the_other_and_not_its_sender(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    id = visitor.conversation_id
    async with visitor.connect() as one, agent.connect() as two:
        for socket in (one, two):
            await tell(socket, type="subscribe", conversation_id=id)
            await hear(socket, "subscribed")
        await tell(two, type="typing", conversation_id=id, on=True)
        await tell(two, type="ping")
        typing = await hear(one)
        assert (typing["type"], typing["author"]["kind"], typing["on"]) == ("typing", "agent", True)
        assert (await hear(two))["type"] == "pong"


async def test_an_agent_sees_a_new_conversation_in_its_inbox(world: World) -> None:
    agent = await world.agent()
    async with agent.connect() as socket:
        await tell(socket, type="subscribe_inbox")
        await tell(socket, type="ping")
        await hear(socket, "pong")
        visitor = await world.visitor()
        await visitor.says("hello")
        while True:
            frame = await hear(socket, "conversation")
            if frame["last_seq"] == 1:
                break
        assert frame["id"] == visitor.conversation_id
        assert frame["last_message"]["content"] == "hello"


async def test_read_cursors_travel(world: World) -> None:
    visitor, agent = await world.visitor(), await world.agent()
    await visitor.says("hello")
    id = visitor.conversation_id
    async with visitor.connect() as one, agent.connect() as two:
        await tell(one, type="subscribe", conversation_id=id)
        await hear(one, "subscribed")
        await tell(two, type="read", conversation_id=id, seq=1)
        read = await hear(one, "read")
        assert (read["seq"], read["reader"]["id"]) == (1, agent.actor.id)


# Readers that do not read.


def _raw_connection(world: World, person: Person) -> sockets.socket:
    """A handshake by hand, with a small receive buffer."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", world.port))
    raw.sendall(
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {person.secret}\r\n\r\n".encode()
    )
    assert raw.recv(4096).startswith(b"HTTP/1.1 101")
    return raw


def _flood(raw: sockets.socket, frames: int) -> int:
    """Pings of 50 kB, whose pongs are never read; the number that the server took."""
    body = json.dumps({"type": "ping", "ref": "r" * 50_000}).encode()
    frame = b"\x81\xfe" + struct.pack("!H", len(body)) + b"\0\0\0\0" + body
    raw.settimeout(1.0)
    for number in range(frames):
        try:
            raw.sendall(frame)
        except OSError:  # the server took no more, or closed
            return number
    return frames


async def test_a_client_that_never_reads_costs_bounded_memory(world: World) -> None:
    visitor = await world.visitor()
    raw = await asyncio.to_thread(_raw_connection, world, visitor)
    try:
        taken = await asyncio.to_thread(_flood, raw, 400)
        assert taken < 400, "20 MB of answers wait for a client that does not read"
        await world.until(lambda: world.hub.stats.connections == 0)
    finally:
        raw.close()


async def test_a_history_longer_than_the_output_cap_is_replayed(world: World) -> None:
    visitor = await world.visitor()
    for number in range(150):
        await visitor.says(f"{number} " + "x" * 16_000)
    async with visitor.connect(max_size=None) as socket:
        await tell(socket, type="subscribe", conversation_id=visitor.conversation_id)
        heard = await hear_until(socket, "subscribed")
    assert [frame["seq"] for frame in heard[:-1]] == list(range(1, 151))
