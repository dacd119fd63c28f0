"""The real sandbox, and participants that speak to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import msgspec
import pytest

from infrastructure.providers.participant import HttpParticipant
from infrastructure.providers.profile import ERP, PAYMENT, Profile
from infrastructure.providers.requests import Authentication
from tests.sandbox import Sandbox, running
from tests.serving import free_port

_numbers = count()


@pytest.fixture(scope="package")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox") / "data") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(process: Sandbox) -> Iterator[Sandbox]:
    yield process
    process.clear_faults()


@pytest.fixture
async def payment(sandbox: Sandbox) -> AsyncIterator[HttpParticipant]:
    async with opened(sandbox.url, PAYMENT) as participant:
        yield participant


@pytest.fixture
async def erp(sandbox: Sandbox) -> AsyncIterator[HttpParticipant]:
    async with opened(sandbox.url, ERP) as participant:
        yield participant


@pytest.fixture
async def unreachable() -> AsyncIterator[HttpParticipant]:
    profile = Profile({**PAYMENT.operations, **ERP.operations}, PAYMENT.look_up)
    async with opened(f"http://127.0.0.1:{free_port()}", profile) as participant:
        yield participant


@pytest.fixture
def bodies() -> Callable[[], bytes]:
    return lambda: body()


def body(**more: Any) -> bytes:
    """Another refund of another order at each call."""
    number = next(_numbers)
    refund = {"refund_id": f"refund-{number}", "order_reference": f"order-{number}"}
    return msgspec.json.encode({**refund, "amount_minor": 1200, "currency": "EUR", **more})


@asynccontextmanager
async def opened(
    url: str, profile: Profile, authentication: Authentication | None = None
) -> AsyncIterator[HttpParticipant]:
    participant = HttpParticipant(url, profile, authentication or Authentication())
    try:
        yield participant
    finally:
        await participant.close()


@asynccontextmanager
async def answering(
    answer: Callable[[bytes], Awaitable[bytes]], **listening: Any
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers the bytes of each request with bytes, then closes; port, requests."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = [
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        seen.append(head + await reader.readexactly(length[0] if length else 0))
        writer.write(await answer(seen[-1]))
        # Whoever reads no further closes first.
        try:
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **listening)
    async with server:
        yield server.sockets[0].getsockname()[1], seen
