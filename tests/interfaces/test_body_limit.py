"""Bodies over the limit, and clients that go away in the middle of one."""

from typing import Any

import pytest

from infrastructure.system import SystemIds
from interfaces.http.metrics import HttpStats
from interfaces.http.middleware import MAX_BODY_BYTES, RequestMiddleware

CHUNK = b"x" * 65_536


class Exchange:
    """One request in chunks, through the middleware to an app that reads everything."""

    def __init__(self, chunks: list[bytes], *, goes_away: bool = False) -> None:
        self.incoming: list[dict[str, Any]] = [
            {
                "type": "http.request",
                "body": chunk,
                "more_body": goes_away or place < len(chunks) - 1,
            }
            for place, chunk in enumerate(chunks)
        ]
        self.status: int | None = None
        self.seen: list[str] = []
        self.body = b""

    async def run(self, **headers: str) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        }
        middleware = RequestMiddleware(self._app, ids=SystemIds(), stats=HttpStats())
        await middleware(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return self.incoming.pop(0) if self.incoming else {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            self.seen.append(message["type"])
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_a_body_at_the_limit_reaches_the_app_whole() -> None:
    exchange = Exchange([CHUNK] * (MAX_BODY_BYTES // len(CHUNK)))
    await exchange.run()
    assert (exchange.status, len(exchange.body)) == (200, MAX_BODY_BYTES)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_read_to_its_end_before_it_is_refused(
    declared: bool,
) -> None:
    exchange = Exchange([*[CHUNK] * (MAX_BODY_BYTES // len(CHUNK)), b"!"])
    await exchange.run(**({"content_length": str(MAX_BODY_BYTES + 1)} if declared else {}))
    assert (exchange.status, exchange.seen) == (413, [])
    assert exchange.incoming == []


async def test_a_body_far_over_the_limit_is_not_read_for_ever() -> None:
    exchange = Exchange([CHUNK] * 1_000)
    await exchange.run()
    assert (exchange.status, exchange.seen) == (413, [])
    assert exchange.incoming


async def test_half_a_body_of_a_client_that_went_away_is_not_taken_for_a_whole_one() -> None:
    exchange = Exchange([b'{"content":'], goes_away=True)
    await exchange.run()
    assert exchange.seen == ["http.disconnect"]
    assert exchange.body == b""
