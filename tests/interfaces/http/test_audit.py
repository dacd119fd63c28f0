"""Lives, past messages and traces over HTTP; reads by auditors are events."""

import json
import re
from typing import Any

import pytest
from fastapi.routing import APIRoute

from tests.end_to_end.people import API
from tests.interfaces.http.test_access import ROUTES
from tests.serving import Kefu, wait_until


def talk(kefu: Kefu) -> dict[str, Any]:
    """A conversation in which something was said, changed and taken back."""
    agent_id, agent = kefu.agent(name="韩梅梅")
    session = kefu.visitor(name="李雷")
    id = session["conversation_id"]
    path = f"{API}/conversations/{id}"
    first = kefu.post(f"{path}/messages", {"content": "tpyo"}, session["token"])
    kefu.post(f"{path}/assignments", {"assignee_id": agent_id}, agent)
    reply = kefu.post(f"{path}/messages", {"content": "oops, wrong person"}, agent)
    edited = f"{path}/messages/{first['message_id']}"
    _, change, _ = kefu.request("PATCH", edited, {"content": "typo"}, session["token"])
    kefu.request("DELETE", f"{path}/messages/{reply['message_id']}", None, agent)
    kefu.post(f"{path}/update_last_seen", {"seq": 1}, agent)
    return {
        "id": id,
        "path": path,
        "agent": agent,
        "agent_id": agent_id,
        "visitor": session,
        "first": first,
        "reply": reply,
        "change": change,
    }


@pytest.fixture(scope="module")
def told(kefu: Kefu) -> dict[str, Any]:
    return talk(kefu)


@pytest.fixture
def auditor(kefu: Kefu) -> tuple[str, str]:
    """A new auditor, who has read nothing yet: id and token."""
    return kefu.agent("auditor")


def reads(kefu: Kefu, auditor_id: str) -> list[dict[str, Any]]:
    exported = kefu.cli("log", "export", "--types", "audit.*").stdout.splitlines()
    found = [json.loads(line) for line in exported]
    return [event for event in found if event["stream"].startswith(f"audit-{auditor_id}-")]


def test_a_life_is_told_in_order_page_by_page(
    kefu: Kefu, told: dict[str, Any], auditor: tuple[str, str]
) -> None:
    events: list[dict[str, Any]] = []
    cursor = ""
    while True:
        query = f"?limit=3{cursor}"
        status, page = kefu.get(f"{told['path']}/history{query}", auditor[1])
        assert status == 200, page
        events += page["data"]
        if not page["meta"]["has_more"]:
            break
        cursor = f"&cursor={page['meta']['after_cursor']}"
    positions = [event["position"] for event in events]
    assert positions == sorted(set(positions))
    what = [event["what"]["en"] for event in events]
    assert what[:3] == [
        "created the contact 李雷",
        "the contact began a conversation",
        "opened the conversation (web)",
    ]
    assert "changed message 1 to: typo" in what
    assert "recalled message 2" in what
    assigned = next(e for e in events if e["type"] == "conversation.assigned.v1")
    assert assigned["what"] == {"zh": "分配给 韩梅梅", "en": "assigned it to 韩梅梅"}
    actor = {"kind": "agent", "id": told["agent_id"], "name": "韩梅梅"}
    assert assigned["actor"] == actor
    assert assigned["why"]["correlation_id"]
    assert assigned["event"]["data"]["assignee_id"] == told["agent_id"]
    assert assigned["receipt"] == f"/api/v1/events/{assigned['position']}/receipt"
    assert len(assigned["payload_sha256"]) == 64
    until = f"?as_of={assigned['position']}"
    _, page = kefu.get(f"{told['path']}/history{until}", auditor[1])
    assert page["data"] == [e for e in events if e["position"] <= assigned["position"]]


def test_messages_are_shown_as_they_were(
    kefu: Kefu, told: dict[str, Any], auditor: tuple[str, str]
) -> None:
    path = f"{told['path']}/messages"
    _, before = kefu.get(f"{path}?as_of={told['reply']['position']}", auditor[1])
    assert [m["content"] for m in before["data"]] == ["tpyo", "oops, wrong person"]
    _, after = kefu.get(f"{path}?as_of=2999-01-01T00:00:00Z", auditor[1])
    assert [m["content"] for m in after["data"]] == ["typo", ""]
    _, page = kefu.get(f"{path}?as_of={told['reply']['position']}&limit=1", auditor[1])
    assert page["meta"] == {"has_more": True, "after_cursor": "1"}
    moment = before["data"][0]["created_at"]
    _, then = kefu.get(f"{path}?as_of={moment}", auditor[1])
    assert [m["content"] for m in then["data"]] == ["tpyo"]
    assert kefu.get(f"{path}?as_of=1", auditor[1])[1]["code"] == "conversation-not-found"


def test_who_may_look_back(kefu: Kefu, told: dict[str, Any], auditor: tuple[str, str]) -> None:
    people = {
        "auditor": (auditor[1], 200),
        "admin": (kefu.login(), 200),
        "agent": (told["agent"], 403),
        "visitor": (told["visitor"]["token"], 403),
    }
    for name, (token, status) in people.items():
        for path in ("history", "messages?as_of=999999"):
            assert kefu.get(f"{told['path']}/{path}", token)[0] == status, (name, path)
    trace = f"{API}/messages/{told['first']['message_id']}/trace"
    assert kefu.get(trace, told["agent"])[0] == 200
    assert kefu.get(trace, told["visitor"]["token"])[0] == 403
    assert kefu.get(f"{API}/messages/none/trace", told["agent"])[1]["code"] == "message-not-found"


def test_a_trace_has_every_station_with_a_time_or_the_reason_for_none(
    kefu: Kefu, told: dict[str, Any]
) -> None:
    path = f"{API}/messages/{told['first']['message_id']}/trace"

    def projected() -> Any:
        _, trace = kefu.get(path, told["agent"])
        done = [s for s in trace["stations"] if s["station"] == "projected"]
        return trace if done[0]["state"] == "done" else None

    trace = wait_until(projected, 30, "the message is projected")
    assert trace["position"] == told["first"]["position"]
    assert trace["accepted_position"] == trace["position"] - 1
    stations = {s["station"]: s for s in trace["stations"]}
    assert list(stations) == [
        *("received", "decided", "on_disk", "projected", "pushed", "delivered", "read", "mirrored")
    ]
    assert stations["received"]["not_after"] == trace["recorded_at"]
    assert stations["decided"]["at"] == trace["recorded_at"]
    assert stations["projected"]["at"] >= trace["recorded_at"]
    assert stations["read"]["at"] >= trace["recorded_at"]
    assert stations["read"]["reader"]["id"] == told["agent_id"]
    assert stations["read"]["reader"]["name"] == "韩梅梅"
    assert stations["mirrored"]["state"] == "not_configured"
    for station in trace["stations"]:
        assert station["at"] or station["gap"], station


def test_an_auditors_reads_are_events_with_who_what_and_from_which_request(
    kefu: Kefu, told: dict[str, Any], auditor: tuple[str, str]
) -> None:
    id, token = auditor
    headers = {"X-Request-Id": "from-the-test"}
    assert kefu.get(f"{told['path']}/history?limit=2", token, headers=headers)[0] == 200
    assert kefu.get(f"{API}/conversations?status=open&q=Li", token)[0] == 200
    history, listed = reads(kefu, id)
    assert history["payload"]["what"] == "conversations/history"
    assert history["payload"]["subject"] == told["id"]
    assert history["metadata"]["correlationId"] == "from-the-test"
    assert history["metadata"]["actorId"] == id
    assert listed["payload"]["filters"] == {"status": "open", "q": "(not kept)"}


def test_paging_scrubbing_and_polling_are_one_reading_and_going_back_is_another(
    kefu: Kefu, told: dict[str, Any], auditor: tuple[str, str]
) -> None:
    id, token = auditor
    for position in range(told["first"]["position"], told["first"]["position"] + 5):
        assert kefu.get(f"{told['path']}?as_of={position}", token)[0] == 200
    after = 10
    for _ in range(5):  # the second page already holds the event of this very read
        _, _, headers = kefu.request("GET", f"{API}/events?after={after}&limit=200", None, token)
        after = int(headers["kefu-next-position"])
    assert len(reads(kefu, id)) == 2
    kefu.get(f"{API}/events?after=3", token)
    kefu.get(f"{API}/events?after=20&types=audit.*", token)
    found = [event["payload"] for event in reads(kefu, id)]
    assert [one["filters"].get("after") for one in found] == [None, "10", "3", "20"]


def test_agents_reads_are_their_work_and_no_events(kefu: Kefu, told: dict[str, Any]) -> None:
    kefu.get(told["path"], told["agent"])
    kefu.get(f"{API}/conversations", told["agent"])
    assert reads(kefu, told["agent_id"]) == []


ALLOWED_WRITES = {
    *("/api/v1/auth/login", "/api/v1/widget/sessions"),  # anybody's, without a session
    *("/api/v1/auth/logout", "/api/v1/auth/password"),  # the auditor's own session and account
    "/api/v1/providers/1/callbacks",  # whose signature is good, whatever the session
}


def plain(route: APIRoute) -> str:
    """The path as OpenAPI writes it, without convertors."""
    return re.sub(r":\w+}", "}", route.path)


def paths(route: APIRoute, told: dict[str, Any]) -> str:
    known = {"conversation_id": told["id"], "message_id": told["first"]["message_id"]}
    path = plain(route)
    for name in route.param_convertors:
        path = path.replace(f"{{{name}}}", known.get(name, "1"))
    return path


def test_an_auditor_can_write_through_no_route_and_read_through_all(
    kefu: Kefu, told: dict[str, Any], auditor: tuple[str, str]
) -> None:
    _, token = auditor
    seen = 0
    prefix = "/api/v1"
    for route in ROUTES:
        if route.path.startswith(("/console", "/widget", "/demo")) or route.path == "/":
            continue
        path = paths(route, told)
        path = (
            path
            if path.startswith(("/healthz", "/readyz", "/metrics", "/audit"))
            else prefix + path
        )
        for method in route.methods:
            if path in ALLOWED_WRITES and method == "POST":
                continue
            body = None if method in ("GET", "DELETE") else {}
            status, answer, _ = kefu.request(method, path, body, token)
            seen += 1
            if method == "GET":
                assert status in (200, 404), (path, answer)
            else:
                assert (status, answer["code"]) == (403, "forbidden"), (method, path)
    assert seen > 20


def test_every_route_of_the_app_is_walked_over(kefu: Kefu) -> None:
    _, document = kefu.get("/openapi.json")
    walked = {plain(route) for route in ROUTES}
    for path in document["paths"]:
        assert path.removeprefix("/api/v1") in walked, path
