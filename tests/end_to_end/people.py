"""What the tests of the public contract share."""

from typing import Any, NamedTuple

from tests.serving import Kefu

API = "/api/v1"


class World(NamedTuple):
    """Everybody who talks to kefu."""

    kefu: Kefu
    admin: str
    agent_id: str
    agent: str
    auditor: str
    feed_key: str
    send_key: str


def fresh(receipt: dict[str, Any]) -> dict[str, str]:
    return {"Kefu-Min-Position": str(receipt["position"])}


def problem(kefu: Kefu, *request: Any, **more: Any) -> tuple[int, str]:
    """Status and code of a problem document, whose form is checked."""
    status, body, headers = kefu.request(*request, **more)
    assert headers["content-type"] == "application/problem+json", (status, body)
    assert body.keys() >= {"type", "title", "status", "detail", "code"}
    assert body["status"] == status
    return status, body["code"]
