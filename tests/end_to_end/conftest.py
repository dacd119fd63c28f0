"""Everybody who talks to the running system, and one conversation a test."""

from typing import Any

import pytest

from tests.end_to_end.people import API, World
from tests.serving import Kefu


@pytest.fixture(scope="module")
def world(kefu: Kefu) -> World:
    admin = kefu.login()
    agent_id, agent = kefu.agent()
    keys = [
        kefu.post(f"{API}/api_keys", {"name": scope, "scopes": [scope]}, admin)["token"]
        for scope in ("events:read", "messages:write")
    ]
    return World(kefu, admin, agent_id, agent, kefu.agent("auditor")[1], *keys)


@pytest.fixture
def visitor(kefu: Kefu) -> dict[str, Any]:
    return kefu.visitor(name="李雷")


@pytest.fixture
def conversation(visitor: dict[str, Any]) -> str:
    return f"{API}/conversations/{visitor['conversation_id']}"


@pytest.fixture
def sent(kefu: Kefu, visitor: dict[str, Any], conversation: str) -> dict[str, Any]:
    return kefu.post(f"{conversation}/messages", {"content": "在吗？"}, visitor["token"])
