"""Somebody who takes callbacks, over HTTP."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from application.ports.participants import Callback
from infrastructure.providers.profile import PAYMENT, Profile
from infrastructure.providers.webhooks import StandardWebhookReader, secret_of
from tests.serving import free_port, wait_until

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
WAIT_S = 60.0


class Receiver:
    """Reads each callback as kefu does: one that is badly signed is an error in `refused`."""

    def __init__(self, profile: Profile = PAYMENT) -> None:
        self.port = free_port()
        self.received: list[Callback] = []
        self.refused: list[Exception] = []
        self.statuses: list[int] = []
        """What the next ones are answered; none: 204. What is answered otherwise is not kept."""
        self._reader = StandardWebhookReader(profile, [secret_of(SECRET)])
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callbacks"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self._lock:
            if self.statuses:
                return self.statuses.pop(0)
            try:
                now_us = time.time_ns() // 1_000
                self.received.append(self._reader.read(headers, body, now_us))
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.refused.append(error)
            return 204

    def of(self, key: str) -> list[Callback]:
        """What came of a key, in the order of coming."""
        with self._lock:
            return [callback for callback in self.received if callback.key == key]

    def wait_for(self, key: str, number: int) -> list[Callback]:
        wait_until(lambda: len(self.of(key)) >= number, WAIT_S, f"{number} callbacks of {key}")
        assert self.refused == []
        return self.of(key)


@contextmanager
def listening(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.take(dict(self.headers.items()), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
