"""Where requests come from, in a real uvicorn process: behind gateways and behind proxies."""

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from interfaces.gateway.proxy_protocol import LOCAL, Endpoint, encode
from tests.serving import free_port, wait_until

CLIENT, SERVER = Endpoint("203.0.113.7", 40_000), Endpoint("192.0.2.1", 443)
SERVE = """
import sys
from typing import Any

from fastapi import FastAPI, Request
from interfaces.gateway.addresses import TrustedNetworks
from interfaces.http.network import ClientMiddleware, client_address
from interfaces.settings import load
from interfaces.workers import web

place = {"port": int(sys.argv[1])} if sys.argv[1].isdigit() else {"web_socket": sys.argv[1]}
settings = load({}, trusted_proxies=sys.argv[2], **place)
app = FastAPI()
app.add_middleware(ClientMiddleware, trusted=TrustedNetworks(settings.trusted_proxies))

@app.post("/who")
async def who(request: Request) -> dict[str, Any]:
    body = (await request.body()).decode()
    return {"address": client_address(request), "url": str(request.base_url), "body": body}

class Dependencies:
    pass

dependencies = Dependencies()
dependencies.settings = settings
sys.exit(web.run(settings, app, dependencies))
"""


class Server:
    """A web role with one route that says who asks.

    Args:
        place: A port, or the path of a Unix socket.
        trusted: Proxies.
    """

    def __init__(self, place: int | Path, trusted: str = "") -> None:
        self.place = place
        command = [sys.executable, "-c", SERVE, str(place), trusted]
        self.process = subprocess.Popen(command)

    def connect(self) -> socket.socket:
        if isinstance(self.place, int):
            return socket.create_connection(("127.0.0.1", self.place), 10)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        try:
            client.connect(str(self.place))
        except OSError:
            client.close()
            raise
        return client

    def ready(self) -> bool:
        assert self.process.poll() is None
        try:
            self.connect().close()
        except OSError:
            return False
        return True


@contextmanager
def serving(place: int | Path, trusted: str = "") -> Iterator[Server]:
    server = Server(place, trusted)
    try:
        wait_until(server.ready, 30, "the web role listens")
        yield server
    finally:
        server.process.terminate()
        server.process.wait(15)


def request(headers: dict[str, str], body: bytes = b"x") -> bytes:
    lines = {"Host": "kefu.example", "Content-Length": str(len(body)), **headers}
    shown = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /who HTTP/1.1\r\n{shown}\r\n".encode() + body


def answer(connection: socket.socket) -> Any:
    """The decoded body of the next response."""
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    assert response.status == 200
    return json.loads(response.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("web") / "run" / "web.sock"
    with serving(path, "10.0.0.0/8") as running:
        yield running


def test_the_unix_socket_is_for_this_user_only(server: Server) -> None:
    assert isinstance(server.place, Path)
    assert stat.S_IMODE(server.place.stat().st_mode) == 0o600


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_header_names_the_client_however_it_is_split(server: Server, size: int) -> None:
    data = encode(CLIENT, SERVER) + request({}, b"the whole body")
    with server.connect() as connection:
        for at in range(0, len(data), size):
            connection.sendall(data[at : at + size])
        found = answer(connection)
    assert found == {
        "address": CLIENT.host,
        "url": "http://kefu.example/",
        "body": "the whole body",
    }


def test_the_header_stands_for_every_request_of_its_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(encode(CLIENT, SERVER))
        for body in (b"1", b"2", b"3"):
            connection.sendall(request({}, body))
            found = answer(connection)
            assert (found["address"], found["body"]) == (CLIENT.host, body.decode())


def test_a_client_that_spoke_tls_to_the_gateway_is_told_https_urls(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(encode(CLIENT, SERVER, tls=True) + request({}))
        assert answer(connection)["url"] == "https://kefu.example/"


def test_behind_a_gateway_a_trusted_proxys_headers_are_read_and_no_others(server: Server) -> None:
    claim = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}
    with server.connect() as connection:
        connection.sendall(encode(CLIENT, SERVER) + request(claim))
        assert answer(connection)["address"] == CLIENT.host
    with server.connect() as connection:
        connection.sendall(encode(Endpoint("10.0.0.7", 1), SERVER) + request(claim))
        found = answer(connection)
        assert (found["address"], found["url"]) == ("198.51.100.1", "https://kefu.example/")
        forwarded = {"Forwarded": 'for="[2001:db8::9]:1";proto=https'}
        connection.sendall(request(forwarded))
        assert answer(connection)["address"] == "2001:db8::9"


def test_a_gateways_own_request_has_no_address(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(LOCAL + request({}))
        assert answer(connection)["address"] == "unknown"


@pytest.mark.parametrize(
    "data", [request({}), b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", LOCAL[:12] + b"\x2f"]
)
def test_without_a_good_header_the_unix_socket_gives_no_answer(server: Server, data: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(data.ljust(16, b"x"))
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            return


def test_over_tcp_there_is_no_header_and_loopback_is_not_trusted() -> None:
    with serving(free_port()) as server, server.connect() as connection:
        connection.sendall(request({"X-Forwarded-For": "198.51.100.1"}))
        assert answer(connection)["address"] == "127.0.0.1"
        connection.sendall(encode(CLIENT, SERVER) + request({}))
        assert connection.recv(20).startswith(b"HTTP/1.1 400")


def test_nothing_is_left_at_the_end_and_what_a_killed_one_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with serving(path) as server, server.connect() as half:
        # One whose header has not come does not hold up the stop.
        half.sendall(LOCAL[:5])
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(10) == 0
    assert not path.exists()


def test_a_path_that_can_not_be_bound_ends_the_role_with_1(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    command = [sys.executable, "-c", SERVE, str(path), ""]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"web.cannot_listen" in done.stdout + done.stderr
