"""Core and web over a link, and who gets none of it."""

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from application.commands.bus import CommandBus
from domain.errors import InvalidInput, Unavailable
from infrastructure.ipc.client import CoreClient
from infrastructure.ipc.server import CoreServer
from infrastructure.link import server as server_module
from infrastructure.link.dialer import LinkDialer
from infrastructure.link.tls import LinkFilesInvalid, LinkTls
from interfaces.gateway.relay import Relay
from tests.certificates import Authority
from tests.infrastructure.ipc.test_socket import EchoBus, send
from tests.infrastructure.link.conftest import BOUND_S, Linked, tls, until
from tests.tools import require


async def test_commands_go_over_the_link_as_over_the_socket(linked: Linked) -> None:
    core = CoreClient(linked.dialer.to("core"))
    await core.open()
    with pytest.raises(Unavailable):
        await core.execute(send("too early"))
    for _ in range(2):  # the core is restarted
        server = CoreServer(cast(CommandBus, EchoBus()))
        await server.start(linked.core)
        await core.wait_connected(BOUND_S)
        contents = [f"{number} " + "x" * number * 100 for number in range(200)]
        receipts = await asyncio.gather(*(core.execute(send(one)) for one in contents))
        assert [receipt.result["content"] for receipt in receipts] == contents
        with pytest.raises(InvalidInput):
            await core.execute(send("refuse"))
        waiting = asyncio.create_task(core.execute(send("never")))
        await asyncio.sleep(0)
        await server.close()
        with pytest.raises(Unavailable):
            await waiting
        await until(lambda: not core.connected)
    await core.close()


async def test_a_service_that_is_away_is_refused_and_the_link_goes_on(linked: Linked) -> None:
    for service in ("core", "web"):
        with pytest.raises(ConnectionError, match="unavailable"):
            await linked.dialer.to(service)(asyncio.Protocol)
    assert (await linked.feed()).connected


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def test_bytes_pass_both_ways_whole_and_the_last_ones_before_the_end(
    linked: Linked,
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.readexactly(1_000_000)
        writer.write(got[::-1] * 3)
        writer.close()

    web = await asyncio.start_unix_server(answer, linked.web)
    transport, heard = await linked.dialer.to("web")(Heard)
    sent = bytes(range(250)) * 4_000
    transport.write(sent)
    async with asyncio.timeout(BOUND_S):
        await heard.lost.wait()
    assert heard.data == sent[::-1] * 3
    web.close()


async def test_a_client_that_says_its_last_before_the_answer_gets_it(linked: Linked) -> None:
    asked = asyncio.Event()
    answering = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"?")
        asked.set()
        await answering.wait()
        writer.write(b"!" * 100_000)
        writer.close()

    web = await asyncio.start_unix_server(answer, linked.web)
    relay = Relay(linked.dialer.to("web"))
    near, client = socket.socketpair()
    near.setblocking(False)
    relay.begin(near, b"PROXY ", b"GET ?")
    reader, writer = await asyncio.open_unix_connection(sock=client)
    writer.write_eof()
    async with asyncio.timeout(BOUND_S):
        await asked.wait()
        answering.set()
        assert await reader.read() == b"!" * 100_000
    await until(lambda: relay.open == 0)
    writer.close()
    web.close()


async def test_without_a_link_a_client_is_told_502(linked: Linked) -> None:
    await linked.vanish()
    relay = Relay(linked.dialer.to("web"))
    near, client = socket.socketpair()
    near.setblocking(False)
    relay.begin(near, b"", b"GET / HTTP/1.1\r\n\r\n")
    reader, writer = await asyncio.open_unix_connection(sock=client)
    async with asyncio.timeout(BOUND_S):
        assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
    assert relay.failed == 1
    writer.close()


async def _greet(port: int, context: ssl.SSLContext, line: bytes) -> bytes:
    """What the link says; raises OSError when it ends the connection."""
    async with asyncio.timeout(BOUND_S):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="127.0.0.1"
        )
        try:
            writer.write(line)
            return await reader.readline()
        finally:
            writer.transport.abort()


def _without_certificate(linked: Linked) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=linked.authority.certificate)


def _foreign(linked: Linked) -> ssl.SSLContext:
    context = _without_certificate(linked)
    other = Authority(linked.directory / "foreign")
    context.load_cert_chain(*other.issue("stranger", server=False))
    return context


def _self_signed_by_a_name_of_ours(linked: Linked) -> ssl.SSLContext:
    context = _without_certificate(linked)
    other = Authority(linked.directory / "forged", "ca")
    context.load_cert_chain(*other.issue("remote", server=False))
    return context


def _tls_1_2(linked: Linked) -> ssl.SSLContext:
    context = _without_certificate(linked)
    context.load_cert_chain(*linked.authority.issue("old", server=False))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _links_own(linked: Linked) -> ssl.SSLContext:
    context = _without_certificate(linked)
    context.load_cert_chain(*linked.authority.issue("second", server=True))
    return context


@pytest.mark.parametrize(
    "context",
    [_without_certificate, _foreign, _self_signed_by_a_name_of_ours, _tls_1_2, _links_own],
)
@pytest.mark.parametrize("service", ["core", "web", "feed end 0 x"])
async def test_who_has_no_certificate_of_ours_gets_nothing(
    linked: Linked, context: Callable[[Linked], ssl.SSLContext], service: str
) -> None:
    reached = asyncio.Event()

    async def reach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    servers = [await asyncio.start_unix_server(reach, path) for path in (linked.core, linked.web)]
    linked.append(b"secret")
    line = f"kefu-link/1 {service}\n".encode()
    with contextlib.suppress(OSError):  # ssl.SSLError is one: an alert
        assert await _greet(linked.port, context(linked), line) == b""
    server: Any = linked.server
    await until(lambda: server.stats.refused == 1)
    assert not reached.is_set()
    assert server.stats.served == 0
    for one in servers:
        one.close()


async def test_a_link_whose_certificate_is_anothers_or_for_another_name_is_not_believed(
    linked: Linked,
) -> None:
    stranger = LinkDialer(
        "127.0.0.1",
        linked.port,
        tls(Authority(linked.directory / "other"), "remote", server=False),
    )
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        await stranger.to("core")(asyncio.Protocol)
    misnamed = LinkDialer("localhost", linked.port, linked.dialer._tls)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        await misnamed.to("core")(asyncio.Protocol)


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n\r\n", b"kefu-link/1 x\n", b"x" * 70_000])
async def test_another_first_line_ends_the_connection(linked: Linked, line: bytes) -> None:
    context = linked.dialer._tls.context()
    with contextlib.suppress(OSError):  # reset, because not all was read
        assert await _greet(linked.port, context, line) == b""
    server: Any = linked.server
    await until(lambda: server.stats.open == 0 and server.stats.served == 1)


async def test_who_says_nothing_is_left_within_the_time(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_HANDSHAKE_S", 0.05)
    with socket.create_connection(("127.0.0.1", linked.port)) as silent:
        silent.setblocking(False)
        async with asyncio.timeout(BOUND_S):
            assert await asyncio.get_running_loop().sock_recv(silent, 1) == b""
    server: Any = linked.server
    await until(lambda: server.stats.refused == 1 and not server._tasks)


async def test_strangers_that_wait_for_their_handshake_are_bounded(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_SHAKING", 2)
    strangers = [socket.create_connection(("127.0.0.1", linked.port)) for _ in range(3)]
    server: Any = linked.server
    await until(lambda: server.stats.refused == 1)
    for stranger in strangers:
        stranger.close()
    await until(lambda: server._shaking == 0)
    assert (await linked.feed()).connected


def _how_to() -> str:
    page = Path("docs/howto/several-machines.md").read_text()
    found = re.search(r"```sh\n(# Your own authority.*?)```", page, re.S)
    assert found is not None
    return found[1]


async def test_the_certificates_of_the_how_to_are_taken(tmp_path: Path) -> None:
    require("openssl")
    script = "set -e\n" + _how_to().replace("DNS:log.internal", "IP:127.0.0.1")
    done = await asyncio.to_thread(
        subprocess.run, ["sh"], cwd=tmp_path, input=script, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    ends = [
        LinkTls(tmp_path / f"{name}.pem", tmp_path / f"{name}.key", tmp_path / "ca.pem", server=one)
        for name, one in (("link", True), ("gateway-1", False))
    ]
    reached = asyncio.Event()

    async def reach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    web = await asyncio.start_unix_server(reach, tmp_path / "web.sock")
    server = server_module.LinkServer(ends[0], cast(Any, None), {"web": tmp_path / "web.sock"})
    port = await server.open("127.0.0.1", 0)
    _, heard = await LinkDialer("127.0.0.1", port, ends[1]).to("web")(Heard)
    async with asyncio.timeout(BOUND_S):
        await reached.wait()
        await heard.lost.wait()
    await server.close()
    web.close()


def test_files_that_cannot_be_used_are_refused_by_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("a", server=True)
    _, other_key = authority.issue("b", server=True)
    for files, name in (
        ((tmp_path / "no", key, authority.certificate), "KEFU_LINK_CERTIFICATE: .* can't be read"),
        ((certificate, other_key, authority.certificate), "KEFU_LINK_KEY: .*MISMATCH"),
        ((certificate, key, key), "KEFU_LINK_CA: .* no certificate"),
    ):
        with pytest.raises(LinkFilesInvalid, match=name):
            LinkTls(*files, server=True)


async def test_certificates_that_change_are_taken_for_the_next_connection(
    linked: Linked, tmp_path: Path
) -> None:
    """All of them: another authority, as after a key was stolen."""
    used = linked.dialer._tls
    mine = used.context()
    assert used.context() is mine
    other = Authority(tmp_path / "new")
    for name, server in (("server", True), ("remote", False)):
        for new, old in zip(
            other.issue(name, server=server),
            (tmp_path / "tls" / f"{name}.crt", tmp_path / "tls" / f"{name}.key"),
            strict=True,
        ):
            old.write_bytes(new.read_bytes())
    linked.authority.certificate.write_bytes(other.certificate.read_bytes())
    assert used.context() is not mine
    assert (await linked.feed()).connected
    with pytest.raises(OSError, match=r".+"):
        await _greet(linked.port, mine, b"kefu-link/1 feed end 0 x\n")


def test_a_change_that_cannot_be_used_leaves_the_certificates_of_before(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("a", server=True)
    found = LinkTls(certificate, key, authority.certificate, server=True)
    before = found.context()
    key.write_bytes(b"half a file")
    assert found.context() is before
    new_certificate, new_key = authority.issue("b", server=True)
    certificate.write_bytes(new_certificate.read_bytes())
    key.write_bytes(new_key.read_bytes())
    assert found.context() is not before
