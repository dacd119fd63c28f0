"""Default deny: every route states who may call it, and nobody else gets through."""

import json
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from interfaces.http import app as app_module
from interfaces.http.authentication import access_of
from tests.serving import Kefu

ROUTERS = (
    app_module.auth,
    app_module.widget,
    app_module.conversations,
    app_module.messages,
    app_module.people,
    app_module.events,
    app_module.lives,
    app_module.audit,
    app_module.privacy,
    app_module.refunds,
    app_module.sagas,
    app_module.orders,
    app_module.provider_callbacks,
    app_module.operations,
    app_module.pages,
)
ALL: list[BaseRoute] = [
    *(route for module in ROUTERS for route in module.router.routes),
    *app_module.audit.tiles.routes,
]
ROUTES: list[APIRoute] = [route for route in ALL if isinstance(route, APIRoute)]


def declared(route: APIRoute) -> list[Any]:
    found: list[Any] = []

    def walk(dependant: Any) -> None:
        for dependency in dependant.dependencies:
            access = access_of(dependency.call)
            if access is not None:
                found.append(access)
            walk(dependency)

    walk(route.dependant)
    return found


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{sorted(r.methods)[0]} {r.path}")
def test_every_route_states_who_may_call_it(route: APIRoute) -> None:
    assert declared(route)


def test_there_is_no_route_of_another_kind() -> None:
    assert [route for route in ALL if route not in ROUTES] == []


def everybody(kefu: Kefu) -> dict[str, str]:
    admin = kefu.login()
    made = kefu.cli("admin", "create-api-key", "--name", "r", "--scope", "events:read", "--json")
    audit = kefu.cli("admin", "create-api-key", "--name", "a", "--scope", "audit:read", "--json")
    return {
        "nobody": "",
        "garbage": "not-a-token",
        "admin": admin,
        "agent": kefu.agent("agent")[1],
        "auditor": kefu.agent("auditor")[1],
        "visitor": kefu.visitor()["token"],
        "key": json.loads(made.stdout)["token"],
        "audit key": json.loads(audit.stdout)["token"],
    }


ALLOWED = {
    ("GET", "/conversations"): {"admin", "agent", "auditor"},
    ("GET", "/contacts"): {"admin", "agent", "auditor"},
    ("GET", "/agents"): {"admin", "agent", "auditor"},
    ("GET", "/api_keys"): {"admin", "auditor"},
    ("GET", "/events"): {"auditor", "key"},
    ("GET", "/events/1/receipt"): {"auditor", "audit key"},
    ("GET", "/auth/me"): {"admin", "agent", "auditor"},
    ("GET", "/refunds"): {"admin", "agent", "auditor"},
    ("GET", "/refund_policies"): {"admin", "agent", "auditor"},
    ("GET", "/sagas"): {"admin", "agent", "auditor"},
    ("GET", "/sagas/definitions"): {"admin", "agent", "auditor"},
}


def test_who_may_read_what(kefu: Kefu) -> None:
    people = everybody(kefu)
    for (method, path), allowed in ALLOWED.items():
        for name, token in people.items():
            status, body, _ = kefu.request(method, "/api/v1" + path, None, token or None)
            expected = 200 if name in allowed else 401 if name in ("nobody", "garbage") else 403
            assert status == expected, (path, name, body)


def test_who_may_read_tiles(kefu: Kefu) -> None:
    people = everybody(kefu)
    assert kefu.get("/api/v1/events/1/receipt", people["auditor"])[0] == 200  # so there are some
    for path in ("/audit/checkpoint", "/audit/tile/0/000.p/1"):
        for name, token in people.items():
            status, _, _ = kefu.request("GET", path, None, token or None)
            allowed = name in ("auditor", "audit key")
            assert status != 200 or allowed, (path, name)
            assert status in (200, 404) if allowed else status in (401, 403), (path, name)


def test_who_may_change_a_conversation(kefu: Kefu) -> None:
    people = everybody(kefu)
    conversation = kefu.visitor()["conversation_id"]
    base = f"/api/v1/conversations/{conversation}"
    for path, body in (
        ("/assignments", {"assignee_id": None}),
        ("/toggle_status", {"status": "open"}),
        ("/toggle_priority", {"priority": None}),
        ("/labels", {"labels": []}),
        ("/update_last_seen", {"seq": 0}),
    ):
        for name, token in people.items():
            status, _, _ = kefu.request("POST", base + path, body, token or None)
            if name in ("admin", "agent"):
                assert status == 200, (path, name)
            else:
                assert status == (401 if name in ("nobody", "garbage") else 403), (path, name)


def test_a_visitor_reaches_its_own_conversation_and_learns_of_no_other(kefu: Kefu) -> None:
    mine, other = kefu.visitor(), kefu.visitor()
    for conversation in (other["conversation_id"], "no-such-conversation"):
        path = f"/api/v1/conversations/{conversation}/messages"
        for method, body in (("GET", None), ("POST", {"content": "hi"})):
            status, answer, _ = kefu.request(method, path, body, mine["token"])
            assert (status, answer["code"]) == (404, "conversation-not-found")
    own = f"/api/v1/conversations/{mine['conversation_id']}"
    assert kefu.get(own + "/messages", mine["token"])[0] == 200
    assert kefu.get(own, mine["token"])[0] == 403


def test_private_notes_do_not_exist_for_visitors(kefu: Kefu) -> None:
    visitor, (_, agent) = kefu.visitor(), kefu.agent()
    path = f"/api/v1/conversations/{visitor['conversation_id']}/messages"
    kefu.post(path, {"content": "hello"}, visitor["token"])
    kefu.post(path, {"content": "secret note", "private": True}, agent)
    last = kefu.post(path, {"content": "bye"}, agent)
    headers = {"Kefu-Min-Position": str(last["position"])}
    _, seen = kefu.get(path, visitor["token"], headers=headers)
    assert [m["content"] for m in seen["data"]] == ["hello", "bye"]
    _, seen = kefu.get(path, agent, headers=headers)
    assert [m["seq"] for m in seen["data"]] == [1, 2, 3]
    status, body, _ = kefu.request(
        "POST", path, {"content": "x", "private": True}, visitor["token"]
    )
    assert (status, body["code"]) == (403, "forbidden")


def test_a_session_that_was_ended_opens_nothing(kefu: Kefu) -> None:
    _, token = kefu.agent()
    assert kefu.get("/api/v1/auth/me", token)[0] == 200
    assert kefu.request("POST", "/api/v1/auth/logout", {}, token)[0] == 204
    status, body = kefu.get("/api/v1/auth/me", token)
    assert (status, body["code"]) == (401, "unauthenticated")


def test_a_deactivated_agent_is_out_at_once(kefu: Kefu) -> None:
    admin = kefu.login()
    agent_id, token = kefu.agent()
    path = f"/api/v1/agents/{agent_id}"
    assert kefu.request("PATCH", path, {"active": False}, admin)[0] == 200
    assert kefu.get("/api/v1/auth/me", token)[0] == 401


def test_an_unsigned_identifier_opens_no_history_and_a_signed_one_does(kefu: Kefu) -> None:
    import hashlib
    import hmac

    secret = json.loads(kefu.cli("admin", "widget-secret", "--json").stdout)["widget_secret"]
    signature = hmac.new(secret.encode(), b"user-9", hashlib.sha256).hexdigest()
    alice = kefu.visitor(identifier="user-9", identifier_hash=signature)
    again = kefu.visitor(identifier="user-9", identifier_hash=signature)
    mallory = kefu.visitor(identifier="user-9")
    assert again["conversation_id"] == alice["conversation_id"]
    assert mallory["contact_id"] == alice["contact_id"]
    assert mallory["conversation_id"] != alice["conversation_id"]
    body = {"contact": {"identifier": "user-9", "identifier_hash": "0" * 64}}
    status, answer, _ = kefu.request("POST", "/api/v1/widget/sessions", body)
    assert (status, answer["code"]) == (401, "invalid-identity")


def test_no_feed_shows_a_password(kefu: Kefu) -> None:
    _, auditor = kefu.agent("auditor")
    _, events = kefu.get("/api/v1/events?types=agent.*&limit=200", auditor)
    kinds = {event["type"] for event in events}
    assert "org.kefu.agent.password_set.v1" in kinds
    assert "argon2" not in json.dumps(events)
