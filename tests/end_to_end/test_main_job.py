"""The public contract over HTTP, row by row, on a running system: shapes, roles, repeats, times."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.end_to_end.people import API, World, fresh, problem
from tests.serving import ADMIN, PASSWORD, Kefu

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MESSAGE = {
    "message_id": str,
    "conversation_id": str,
    "seq": int,
    "author": dict,
    "content": str,
    "private": bool,
    "created_at": str,
    "position": int,
}


# Log-in and sessions.


def test_login_gives_a_token_and_the_agent(kefu: Kefu) -> None:
    answer = kefu.post(f"{API}/auth/login", {"email": ADMIN, "password": PASSWORD})
    assert answer["agent"].keys() == {"id", "name", "email", "role"}
    assert (answer["agent"]["email"], answer["agent"]["role"]) == (ADMIN, "admin")
    assert len(answer["token"]) >= 43


def test_a_wrong_password_and_an_unknown_email_look_the_same(kefu: Kefu) -> None:
    for email in (ADMIN, "nobody@shop.example"):
        body = {"email": email, "password": "wrong password"}
        assert problem(kefu, "POST", f"{API}/auth/login", body) == (401, "invalid-credentials")


def test_a_session_names_contact_conversation_and_where_to_connect(
    kefu: Kefu, visitor: dict[str, Any]
) -> None:
    assert visitor.keys() >= {"token", "contact_id", "conversation_id", "ws_url"}
    assert visitor["ws_url"] == kefu.ws_url
    status, _, _ = kefu.request("POST", f"{API}/widget/sessions", {})
    assert status == 201


# Messages.


def test_a_sent_message_is_answered_with_its_place(sent: dict[str, Any]) -> None:
    assert sent.keys() == {"message_id", "seq", "position"}
    assert sent["seq"] == 1
    assert uuid.UUID(sent["message_id"])


def test_messages_come_ascending_in_the_shape_of_the_contract(
    world: World, visitor: dict[str, Any], conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/messages"
    reply = kefu.post(path, {"content": "您好 👋\nhow can I help?"}, world.agent)
    _, found = kefu.get(path, visitor["token"], headers=fresh(reply))
    assert found["meta"] == {"has_more": False, "after_cursor": None}
    first, second = found["data"]
    for message in (first, second):
        assert {key: type(message[key]) for key in MESSAGE} == MESSAGE
        assert message["author"].keys() == {"kind", "id", "name"}
        assert RFC3339.fullmatch(message["created_at"])
        assert message["conversation_id"] == visitor["conversation_id"]
    assert [first["seq"], second["seq"]] == [1, 2]
    assert first["author"] == {"kind": "visitor", "id": visitor["contact_id"], "name": "李雷"}
    assert second["author"] == {"kind": "agent", "id": world.agent_id, "name": "梅 Mei"}
    assert second["content"] == "您好 👋\nhow can I help?"
    assert (first["message_id"], first["position"]) == (sent["message_id"], sent["position"])


def test_pages_of_messages_give_every_message_once(
    kefu: Kefu, visitor: dict[str, Any], conversation: str
) -> None:
    path, token = f"{conversation}/messages", visitor["token"]
    for number in range(1, 8):
        last = kefu.post(path, {"content": str(number)}, token)
    seen, query = [], "?after_seq=0&limit=3"
    while True:
        _, found = kefu.get(path + query, token, headers=fresh(last))
        seen += [message["seq"] for message in found["data"]]
        if not found["meta"]["has_more"]:
            break
        query = f"?limit=3&cursor={found['meta']['after_cursor']}"
    assert seen == list(range(1, 8))
    assert kefu.get(path + "?after_seq=5", token)[1]["data"][0]["seq"] == 6
    assert kefu.get(path + "?after_seq=7", token)[1]["data"] == []


def test_a_private_note_is_seen_by_staff_and_auditors_and_not_by_the_visitor(
    world: World, visitor: dict[str, Any], conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/messages"
    note = kefu.post(path, {"content": "VIP 客户", "private": True}, world.agent)
    for token, contents in (
        (world.agent, ["在吗？", "VIP 客户"]),
        (world.auditor, ["在吗？", "VIP 客户"]),
        (visitor["token"], ["在吗？"]),
    ):
        _, found = kefu.get(path, token, headers=fresh(note))
        assert [message["content"] for message in found["data"]] == contents
    body = {"content": "me too", "private": True}
    assert problem(kefu, "POST", path, body, visitor["token"]) == (403, "forbidden")


def test_an_integrator_speaks_for_the_system(
    world: World, conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/messages"
    receipt = kefu.post(path, {"content": "您的包裹已签收"}, world.send_key)
    _, found = kefu.get(path, world.agent, headers=fresh(receipt))
    assert found["data"][-1]["author"]["kind"] == "system"
    assert problem(kefu, "GET", path, None, world.send_key)[0] == 403


# Conversations.


def test_a_conversation_in_the_list_and_alone_has_the_shape_of_the_contract(
    world: World, visitor: dict[str, Any], conversation: str, sent: dict[str, Any]
) -> None:
    status, one, _ = world.kefu.request("GET", conversation, None, world.agent, fresh(sent))
    assert status == 200
    assert one["id"] == visitor["conversation_id"]
    assert (one["status"], one["assignee_id"], one["last_seq"]) == ("open", None, 1)
    assert (one["contact"]["id"], one["contact"]["name"]) == (visitor["contact_id"], "李雷")
    assert one["last_message"]["content"] == "在吗？"
    assert RFC3339.fullmatch(one["updated_at"])
    _, listed = world.kefu.get(f"{API}/conversations?status=open", world.agent)
    assert one in listed["data"]
    assert listed["meta"].keys() == {"has_more", "after_cursor"}


def test_assigning_answers_with_the_conversation_and_a_repeat_changes_nothing(
    world: World, conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/assignments"
    for assignee in (world.agent_id, world.agent_id, None, None):
        answer = kefu.post(path, {"assignee_id": assignee}, world.agent)
        assert answer["assignee_id"] == assignee
    body = {"assignee_id": str(uuid.uuid4())}
    assert problem(kefu, "POST", path, body, world.agent) == (404, "agent-not-found")
    assert problem(kefu, "POST", path, {}, world.agent)[0] == 422


def test_a_resolved_conversation_takes_no_message_until_it_is_reopened(
    world: World, visitor: dict[str, Any], conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/messages"
    body = {"status": "resolved"}
    assert kefu.post(f"{conversation}/toggle_status", body, world.agent)["status"] == "resolved"
    for token in (visitor["token"], world.agent, world.send_key):
        refused = problem(kefu, "POST", path, {"content": "?"}, token)
        assert refused == (409, "conversation-resolved")
    kefu.post(f"{conversation}/toggle_status", {"status": "open"}, world.agent)
    assert kefu.post(path, {"content": "again"}, visitor["token"])["seq"] == 2


def test_a_snoozed_conversation_wakes_by_its_time_or_by_its_visitor(
    world: World, visitor: dict[str, Any], conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/toggle_status"
    now = datetime.fromisoformat(
        kefu.get(conversation, world.agent, headers=fresh(sent))[1]["updated_at"]
    )
    soon = (now + timedelta(hours=1)).isoformat()
    answer = kefu.post(path, {"status": "snoozed", "snoozed_until": soon}, world.agent)
    assert answer["status"] == "snoozed"
    assert datetime.fromisoformat(answer["snoozed_until"]) == now + timedelta(hours=1)
    receipt = kefu.post(f"{conversation}/messages", {"content": "hello?"}, visitor["token"])
    woken = kefu.get(conversation, world.agent, headers=fresh(receipt))[1]
    assert (woken["status"], woken["snoozed_until"]) == ("open", None)
    past = {"status": "snoozed", "snoozed_until": "2020-01-01T00:00:00Z"}
    assert problem(kefu, "POST", path, past, world.agent)[0] == 422


def test_as_of_shows_the_conversation_as_it_was(
    world: World, conversation: str, sent: dict[str, Any]
) -> None:
    kefu = world.kefu
    kefu.post(f"{conversation}/toggle_status", {"status": "resolved"}, world.agent)
    for token in (world.agent, world.auditor):
        then = kefu.get(f"{conversation}?as_of={sent['position']}", token)[1]
        assert (then["status"], then["last_seq"]) == ("open", 1)
        at_time = kefu.get(f"{conversation}?as_of={then['last_message']['created_at']}", token)[1]
        assert (at_time["status"], at_time["last_seq"]) == ("open", 1)
        before = f"{conversation}?as_of=2020-01-01T00:00:00Z"
        assert problem(kefu, "GET", before, None, token) == (404, "conversation-not-found")


def test_search_finds_both_languages_and_the_filters_filter(world: World) -> None:
    kefu = world.kefu
    word = f"kefu{uuid.uuid4().hex[:8]}"
    session = kefu.visitor(name="Search Sue")
    path = f"{API}/conversations/{session['conversation_id']}"
    kefu.post(f"{path}/messages", {"content": f"{word} 我想退货"}, session["token"])
    kefu.post(f"{path}/assignments", {"assignee_id": world.agent_id}, world.agent)
    body = {"content": "稍等"}
    headers = fresh(kefu.post(f"{path}/messages", body, world.agent))

    def found(query: str) -> list[str]:
        _, answer = kefu.get(f"{API}/conversations?{query}", world.agent, headers=headers)
        return [one["id"] for one in answer["data"]]

    id = session["conversation_id"]
    assert found(f"q={word.upper()}") == [id]
    assert found(f"q={word}%20%E9%80%80%E8%B4%A7") == [id]  # 退货
    assert found(f"q={word}&assignee={world.agent_id}&status=open") == [id]
    assert found(f"q={word}&assignee=me") == [id]
    assert found(f"q={word}&assignee=none") == []
    assert found(f"q={word}&status=resolved") == []


# The feed.


def test_the_feed_gives_every_event_once_in_order_as_cloudevents(
    world: World, visitor: dict[str, Any], sent: dict[str, Any]
) -> None:
    kefu, after, positions = world.kefu, 0, []
    while True:
        path = f"{API}/events?after={after}&limit=200"
        status, events, headers = kefu.request("GET", path, None, world.feed_key)
        assert status == 200
        assert headers["content-type"].startswith("application/cloudevents-batch+json")
        if not events:
            break
        for event in events:
            assert event["specversion"] == "1.0"
            assert event.keys() >= {"id", "source", "type", "time", "data"}
            assert "password_hash" not in event["data"]
        positions += [int(event["position"]) for event in events]
        after = int(headers["kefu-next-position"])
    assert positions == list(range(1, len(positions) + 1))
    assert sent["position"] in positions


def test_the_feed_filters_by_type_and_its_position_moves_over_the_rest(
    world: World, sent: dict[str, Any]
) -> None:
    path = f"{API}/events?after={sent['position'] - 1}&types=message.sent.v1&limit=1"
    _, events, headers = world.kefu.request("GET", path, None, world.auditor)
    assert [event["data"]["content"] for event in events] == ["在吗？"]
    assert int(headers["kefu-next-position"]) == sent["position"]
    path = f"{API}/events?after={sent['position'] - 1}&types=no.such.v1"
    _, events, headers = world.kefu.request("GET", path, None, world.auditor)
    assert events == []
    assert int(headers["kefu-next-position"]) >= sent["position"]


# What anyone may see.


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/metrics", "text/plain"),
        ("/openapi.json", "application/json"),
        ("/console", "text/html"),
        ("/demo", "text/html"),
        ("/widget.js", "text/javascript"),
    ],
)
def test_the_public_pages_are_served(kefu: Kefu, path: str, media_type: str) -> None:
    status, _, headers = kefu.request("GET", path)
    assert status == 200
    assert headers["content-type"].startswith(media_type)


def test_the_openapi_document_names_every_call_of_the_contract(kefu: Kefu) -> None:
    paths = kefu.get("/openapi.json")[1]["paths"]
    one = f"{API}/conversations/{{conversation_id}}"
    for path, method in (
        (f"{API}/auth/login", "post"),
        (f"{API}/widget/sessions", "post"),
        (f"{API}/conversations", "get"),
        (one, "get"),
        (f"{one}/messages", "get"),
        (f"{one}/messages", "post"),
        (f"{one}/assignments", "post"),
        (f"{one}/toggle_status", "post"),
        (f"{API}/events", "get"),
    ):
        assert method in paths[path], (method, path)
