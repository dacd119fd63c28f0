"""PROXY v2 with a real proxy: haproxy sends what is parsed here and takes what is encoded here."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interfaces.gateway.proxy_protocol import LOCAL, Endpoint, Header, encode, parse
from tests.serving import free_port, wait_until
from tests.tools import require

CLIENT, SERVER = Endpoint("203.0.113.7", 40_000), Endpoint("192.0.2.1", 443)
CLIENT6, SERVER6 = Endpoint("2001:db8::7", 40_000), Endpoint("2001:db8::1", 443)


@contextmanager
def haproxy(directory: Path, sections: str) -> Iterator[None]:
    config = directory / "haproxy.cfg"
    timeouts = "timeout connect 5s\n timeout client 5s\n timeout server 5s"
    config.write_text(f"defaults\n mode tcp\n {timeouts}\n{sections}\n")
    process = subprocess.Popen([require("haproxy"), "-db", "-f", str(config)])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def connected(host: str, port: int) -> socket.socket:
    def attempt() -> socket.socket | None:
        try:
            return socket.create_connection((host, port), timeout=5)
        except ConnectionRefusedError:
            return None

    found: socket.socket = wait_until(attempt, 20, f"{host}:{port} answers")
    return found


def whole_header(accepted: socket.socket) -> tuple[Header, bytes]:
    data = b""
    while (found := parse(data)) is None:
        data += accepted.recv(1)
    return found, data


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("options", ["", "proxy-v2-options crc32c,ssl,unique-id"])
def test_haproxys_header_is_understood(tmp_path: Path, host: str, options: str) -> None:
    require("haproxy")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        backend, port = listener.getsockname()[1], free_port()
        shown = f"[{host}]" if ":" in host else host
        listen = f"listen l\n bind {shown}:{port}\n unique-id-format %[uuid()]\n"
        listen += f" server s {shown}:{backend} send-proxy-v2 {options}"
        with haproxy(tmp_path, listen), connected(host, port) as client:
            client.sendall(b"hello")
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(5)
                found, data = whole_header(accepted)
                assert found.source == Endpoint(host, client.getsockname()[1])
                assert found.destination == Endpoint(host, port)
                assert (found.tls, found.size) == (False, len(data))
                assert accepted.recv(5) == b"hello"


def test_haproxys_own_health_check_is_local(tmp_path: Path) -> None:
    require("haproxy")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listen = f"listen l\n bind 127.0.0.1:{free_port()}\n"
        listen += f" server s 127.0.0.1:{listener.getsockname()[1]} send-proxy-v2 check inter 100"
        with haproxy(tmp_path, listen):
            listener.settimeout(20)
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(5)
                found, data = whole_header(accepted)
    assert found == Header(None, None, False, len(data))
    assert data == LOCAL


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("source", "destination"), [(CLIENT, SERVER), (CLIENT6, SERVER6)])
def test_haproxy_understands_ours(
    tmp_path: Path, source: Endpoint, destination: Endpoint, tls: bool
) -> None:
    require("haproxy")
    port = free_port()
    # `accept-proxy` drops a connection with a header that it does not take; `src` is its source.
    answer = 'http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port]"'
    listen = f"frontend f\n mode http\n bind 127.0.0.1:{port} accept-proxy\n {answer}"
    with haproxy(tmp_path, listen), connected("127.0.0.1", port) as client:
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        client.sendall(encode(source, destination, tls=tls) + request)
        reply = b""
        while chunk := client.recv(4096):
            reply += chunk
    assert reply.endswith(f"\r\n\r\n{source.host}:{source.port}".encode())
