"""TLS with real certificates and real handshakes."""

import asyncio
import os
import signal
import socket
import ssl
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from domain.errors import InvalidInput
from interfaces.gateway import tls as tls_module
from interfaces.gateway.tls import ServerTls, TlsFilesInvalid, TlsWatch, server_tls
from interfaces.settings import load
from tests.serving import Kefu, wait_until

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def make_certificate(directory: Path, name: str, *, kind: str = "ec") -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "ec"
        else rsa.generate_private_key(65537, 2048)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    files = directory / f"{name}.crt", directory / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(PEM))
    files[1].write_bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
    return files


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return make_certificate(tmp_path, "first")


@contextmanager
def echoing(tls: ServerTls) -> Iterator[int]:
    """A server that takes the context anew for every connection; its port."""

    def serve(accepted: socket.socket) -> None:
        try:
            with tls.context.wrap_socket(accepted, server_side=True) as wrapped:
                while data := wrapped.recv(100):
                    wrapped.sendall(data)
        except OSError:  # the client does not go on
            accepted.close()

    def accept() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(accepted,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)


@contextmanager
def connected(port: int, trust: Path, **changes: Any) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(trust))
    context.set_alpn_protocols(changes.pop("alpn", ["h2", "http/1.1"]))
    for name, value in changes.items():
        setattr(context, name, value)
    with (
        socket.create_connection(("127.0.0.1", port), 10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
    ):
        yield wrapped


def echoes(client: ssl.SSLSocket) -> bool:
    client.sendall(b"hello")
    return client.recv(100) == b"hello"


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_client_that_trusts_the_certificate_gets_through_with_http_1_1(
    tmp_path: Path, kind: str
) -> None:
    files = make_certificate(tmp_path, "first", kind=kind)
    with echoing(ServerTls(*files)) as port, connected(port, files[0]) as client:
        assert client.version() == "TLSv1.3"
        assert client.selected_alpn_protocol() == "http/1.1"
        assert echoes(client)


def test_tls_1_2_is_taken_and_1_1_is_not(files: tuple[Path, Path]) -> None:
    with echoing(ServerTls(*files)) as port:
        with connected(port, files[0], maximum_version=ssl.TLSVersion.TLSv1_2) as client:
            assert client.version() == "TLSv1.2"
            assert echoes(client)
        context = ssl.create_default_context(cafile=str(files[0]))
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(), socket.create_connection(("127.0.0.1", port), 10) as raw:
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_after_a_reload_new_connections_get_the_new_certificate_and_old_ones_go_on(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    tls = ServerTls(*files)
    old_trust = tmp_path / "old.crt"
    old_trust.write_bytes(files[0].read_bytes())
    with echoing(tls) as port, connected(port, old_trust) as old:
        assert echoes(old)
        assert not tls.refresh()
        for made, file in zip(make_certificate(tmp_path, "second"), files, strict=True):
            made.rename(file)
        assert tls.refresh()
        assert not tls.refresh()
        with connected(port, files[0]) as new:
            assert echoes(new)
        assert echoes(old)
        with pytest.raises(ssl.SSLCertVerificationError), connected(port, old_trust):
            pass


def test_between_the_replacement_of_the_two_files_the_old_certificate_stays(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    tls = ServerTls(*files)
    before = tls.context
    certificate, key = make_certificate(tmp_path, "second")
    certificate.rename(files[0])
    with pytest.raises(TlsFilesInvalid, match="is not the key of"):
        tls.refresh()
    assert tls.context is before
    assert not tls.refresh(), "it is said once, not at every look"
    key.rename(files[1])
    assert tls.refresh()
    assert tls.context is not before


def test_what_is_wrong_with_the_files_is_said_by_setting_and_file(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    certificate, key = files
    other = make_certificate(tmp_path, "other")
    of_rsa = make_certificate(tmp_path, "rsa", kind="rsa")
    missing, empty, broken = tmp_path / "missing", tmp_path / "empty", tmp_path / "broken"
    empty.touch()
    broken.write_text("-----BEGIN CERTIFICATE-----\nno base64\n-----END CERTIFICATE-----\n")
    loaded: Any = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = tmp_path / "locked"
    locked.write_bytes(
        loaded.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"hush"))
    )
    cases = [
        ((missing, key), f"KEFU_TLS_CERTIFICATE: {missing} can't be read: No such file"),
        ((certificate, missing), f"KEFU_TLS_KEY: {missing} can't be read: No such file"),
        ((tmp_path, key), "can't be read: Is a directory"),
        ((empty, key), f"KEFU_TLS_CERTIFICATE: {empty} does not hold"),
        ((certificate, empty), f"KEFU_TLS_KEY: {empty} does not hold"),
        ((key, certificate), f"KEFU_TLS_CERTIFICATE: {key} does not hold"),
        ((broken, key), f"{broken} and {key} are not taken"),
        ((certificate, locked), f"KEFU_TLS_KEY: {locked} is encrypted"),
        ((certificate, other[1]), f"{other[1]} is not the key of the certificate in {certificate}"),
        ((certificate, of_rsa[1]), "is not the key of the certificate"),
    ]
    for given, words in cases:
        with pytest.raises(TlsFilesInvalid) as caught:
            ServerTls(*given)
        assert words in caught.value.detail
        assert isinstance(caught.value, InvalidInput)


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for is a signal or a file
            await asyncio.sleep(0.01)


async def test_a_hang_up_reloads_the_files_and_bad_ones_are_survived(
    files: tuple[Path, Path],
) -> None:
    tls = ServerTls(*files)
    before = tls.context
    watch = TlsWatch(tls, asyncio.get_running_loop())
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: tls.context is not before)
        kept, stamp = tls.context, tls._stamp
        files[1].unlink()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: tls._stamp != stamp)
        assert tls.context is kept
    finally:
        watch.close()


async def test_changed_files_are_found_without_a_signal_and_bad_ones_are_survived(
    tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "CHECK_S", 0.01)
    tls = ServerTls(*files)
    before = tls.context
    watch = TlsWatch(tls, asyncio.get_running_loop())
    try:
        certificate, key = make_certificate(tmp_path, "second")
        certificate.rename(files[0])
        stamp = tls._stamp
        await until(lambda: tls._stamp != stamp)
        assert tls.context is before
        key.rename(files[1])
        await until(lambda: tls.context is not before)
    finally:
        watch.close()


def test_the_settings_name_both_files_or_none(files: tuple[Path, Path]) -> None:
    assert server_tls(load({})) is None
    given = {"KEFU_TLS_CERTIFICATE": str(files[0]), "KEFU_TLS_KEY": str(files[1])}
    assert isinstance(server_tls(load(given)), ServerTls)


@pytest.mark.parametrize("arguments", [("--gateways", "0"), ("--role", "web")])
def test_nothing_serves_in_clear_what_was_set_up_for_tls(
    tmp_path: Path, files: tuple[Path, Path], arguments: tuple[str, ...]
) -> None:
    kefu = Kefu(tmp_path / "data")
    kefu.environment = {"KEFU_TLS_CERTIFICATE": str(files[0]), "KEFU_TLS_KEY": str(files[1])}
    done = kefu.cli("serve", *arguments, check=False)
    assert done.returncode == 2
    assert "KEFU_TLS_CERTIFICATE needs a gateway" in done.stdout + done.stderr


def test_kefu_serves_https_when_it_has_a_certificate(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    kefu = Kefu(tmp_path / "data")
    kefu.environment = {"KEFU_TLS_CERTIFICATE": str(files[0]), "KEFU_TLS_KEY": str(files[1])}
    kefu.start(wait=False)
    try:
        wait_until(
            lambda: f"kefu ready: https://127.0.0.1:{kefu.port}" in kefu.output(), 60, "ready"
        )
        context = ssl.create_default_context(cafile=str(files[0]))
        url = f"https://127.0.0.1:{kefu.port}/healthz"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            assert answer.status == 200
    finally:
        kefu.stop()
