"""One server that is in no cluster, with a password and TLS; and what is never logged."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import structlog

from infrastructure.valkey.bus import ValkeyBus
from tests.contracts.live_bus import Ear, is_online, reaches, until
from tests.tools import require
from tests.valkey_cluster import ValkeyServer, free_ports
from tests.valkey_cluster import until as wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and its own certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=kefu test", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [require("openssl"), *words.split(), *names, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[ValkeyServer]:
    key, public = certificate
    ((plain, port),) = free_ports(1)
    found = ValkeyServer(
        tmp_path_factory.mktemp("one"),
        plain,
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-key-file", str(key), "--tls-cert-file", str(public)),
        *("--tls-ca-cert-file", str(public), "--requirepass", "hush:/@word"),
    )
    found.tls_port = port
    found.start()
    try:
        wait_until(lambda: b"Ready to accept" in found.log.read_bytes())
        yield found
    finally:
        found.kill()


@pytest.fixture
def url(server: ValkeyServer, certificate: tuple[Path, Path]) -> str:
    _, public = certificate
    return f"rediss://:hush%3A%2F%40word@127.0.0.1:{server.tls_port}?ssl_ca_certs={public}"


async def test_one_server_with_tls_and_a_password_is_enough(url: str) -> None:
    one, two, ear, topic = ValkeyBus(url), ValkeyBus(url), Ear(), uuid4().hex
    await one.open(Ear())
    await two.open(ear)
    try:
        two.subscribe(topic)
        await reaches(one, ear, topic)
        one.arrived(topic)
        await until(lambda: is_online(two, topic, 1))
        assert one.stats.peers == 1
    finally:
        await one.close()
        await two.close()


async def test_the_rights_that_the_how_to_names_are_enough(
    server: ValkeyServer, tmp_path: Path
) -> None:
    text = (ROOT / "docs/howto/several-machines.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("ACL SETUSER")]
    with server.client(password="hush:/@word") as admin:
        admin.execute_command(*line.split())  # type: ignore[no-untyped-call]
    address = f"redis://kefu:password@127.0.0.1:{server.port}"
    one, two, ear, topic = ValkeyBus(address), ValkeyBus(address), Ear(), uuid4().hex
    await one.open(Ear())
    await two.open(ear)
    try:
        two.subscribe(topic)
        await reaches(one, ear, topic)
        one.arrived(topic)
        await until(lambda: is_online(two, topic, 1))
        two.unsubscribe(topic)
        one.left(topic)
        await until(lambda: is_online(two, topic, 0))
    finally:
        await one.close()
        await two.close()
    with server.client(password="hush:/@word") as admin:
        assert admin.keys("kefu:presence:*:*") == []  # taken back by `close`


@pytest.mark.parametrize("fault", ["a wrong password", "an unknown certificate"])
async def test_a_server_that_refuses_is_logged_once_and_without_the_secret(
    url: str, fault: str
) -> None:
    refused = (
        url.split("?")[0] if fault == "an unknown certificate" else url.replace("hush", "tush")
    )
    bus = ValkeyBus(refused)
    with structlog.testing.capture_logs() as logs:
        await bus.open(Ear())
        try:
            await until(lambda: len(logs) > 0)
            await asyncio.sleep(1)  # it tries again and again
        finally:
            await bus.close()
    assert len(logs) == 1
    assert "word" not in str(logs)
    assert bus.stats.connected == 0
