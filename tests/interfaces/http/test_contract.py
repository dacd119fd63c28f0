"""The public contract over HTTP: shapes, idempotency, paging, feeds, pages."""

import json
from pathlib import Path

from tests.serving import Kefu, running

MESSAGE = {
    *("message_id", "conversation_id", "seq", "author", "content", "private", "created_at"),
    "position",
}
ROW = {
    *("id", "status", "assignee_id", "contact", "last_seq", "last_message", "updated_at"),
}


def talk(kefu: Kefu, *contents: str) -> tuple[dict[str, str], str, list[dict[str, int]]]:
    visitor = kefu.visitor(name="李雷")
    path = f"/api/v1/conversations/{visitor['conversation_id']}/messages"
    return visitor, path, [kefu.post(path, {"content": c}, visitor["token"]) for c in contents]


def test_a_message_and_a_conversation_have_the_shape_of_the_contract(kefu: Kefu) -> None:
    visitor, path, sent = talk(kefu, "你好")
    assert sent[0].keys() == {"message_id", "seq", "position"}
    token = kefu.login()
    headers = {"Kefu-Min-Position": str(sent[0]["position"])}
    _, messages = kefu.get(path, token, headers=headers)
    assert messages["meta"] == {"has_more": False, "after_cursor": None}
    (message,) = messages["data"]
    assert message.keys() >= MESSAGE
    assert message["author"] == {"kind": "visitor", "id": visitor["contact_id"], "name": "李雷"}
    assert message["created_at"].endswith("Z")
    assert {key: message[key] for key in sent[0]} == sent[0]
    _, row = kefu.get(f"/api/v1/conversations/{visitor['conversation_id']}", token)
    assert row.keys() >= ROW
    assert (row["last_seq"], row["last_message"], row["unread_count"]) == (1, message, 1)


def test_the_same_key_and_body_give_the_first_result_and_another_body_422(kefu: Kefu) -> None:
    visitor, path, _ = talk(kefu)
    key = {"Idempotency-Key": '"once"'}
    first = kefu.post(path, {"content": "a"}, visitor["token"], headers=key)
    unquoted = {"Idempotency-Key": "once"}
    assert kefu.post(path, {"content": "a"}, visitor["token"], headers=unquoted) == first
    status, body, _ = kefu.request("POST", path, {"content": "b"}, visitor["token"], key)
    assert (status, body["code"]) == (422, "idempotency-key-reused")
    token = kefu.login()
    resolve = path.replace("messages", "toggle_status")
    done = kefu.post(resolve, {"status": "resolved"}, token, headers=key)
    kefu.post(resolve, {"status": "open"}, token)
    assert kefu.post(resolve, {"status": "resolved"}, token, headers=key) == done


def test_messages_are_paged_forwards_and_backwards(kefu: Kefu) -> None:
    visitor, path, sent = talk(kefu, *"abcdefg")
    token = visitor["token"]
    headers = {"Kefu-Min-Position": str(sent[-1]["position"])}
    _, page = kefu.get(path + "?limit=3", token, headers=headers)
    assert page["meta"]["has_more"]
    _, following = kefu.get(f"{path}?limit=3&cursor={page['meta']['after_cursor']}", token)
    _, after = kefu.get(path + "?after_seq=3&limit=3", token)
    assert [m["seq"] for m in following["data"]] == [m["seq"] for m in after["data"]] == [4, 5, 6]
    _, back = kefu.get(path + "?before_seq=4&limit=2", token)
    assert ([m["seq"] for m in back["data"]], back["meta"]["has_more"]) == ([2, 3], True)


def test_the_list_of_conversations_is_paged_without_gap_or_repeat(kefu: Kefu) -> None:
    for number in range(7):
        talk(kefu, f"paging {number}")
    _, _, sent = talk(kefu, "paging 7")
    token, seen, cursor = kefu.login(), [], ""
    while True:
        status, page = kefu.get(
            f"/api/v1/conversations?q=paging&limit=3{cursor}",
            token,
            headers={"Kefu-Min-Position": str(sent[0]["position"])},
        )
        assert status == 200
        seen += [row["id"] for row in page["data"]]
        if not page["meta"]["has_more"]:
            break
        cursor = "&cursor=" + page["meta"]["after_cursor"]
    assert len(seen) == len(set(seen)) == 8


def test_filters_of_the_list(kefu: Kefu) -> None:
    agent_id, token = kefu.agent()
    visitor, path, _ = talk(kefu, "filter me please")
    base = path.removesuffix("/messages")
    kefu.post(base + "/assignments", {"assignee_id": agent_id}, token)
    kefu.post(base + "/labels", {"labels": ["筛选"]}, token)
    answer = kefu.post(base + "/toggle_status", {"status": "snoozed"}, token)
    assert (answer["status"], answer["assignee_id"], answer["labels"]) == (
        "snoozed",
        agent_id,
        ["筛选"],
    )
    _, feed = kefu.get("/readyz")
    headers = {"Kefu-Min-Position": str(feed["log_position"])}

    def found(query: str) -> bool:
        _, page = kefu.get(f"/api/v1/conversations?{query}&limit=200", token, headers=headers)
        return visitor["conversation_id"] in [row["id"] for row in page["data"]]

    for query in ("status=snoozed", "assignee=me", f"assignee={agent_id}", "q=filter"):
        assert found(query), query
    assert found("label=%E7%AD%9B%E9%80%89")
    for query in ("status=open", "status=resolved", "assignee=none", "q=absent", "label=x"):
        assert not found(query), query


def test_as_of_shows_the_conversation_as_it_was(kefu: Kefu) -> None:
    visitor, path, sent = talk(kefu, "one", "two")
    token, base = kefu.login(), path.removesuffix("/messages")
    kefu.post(base + "/toggle_status", {"status": "resolved"}, token)
    _, then = kefu.get(f"{base}?as_of={sent[0]['position']}", token)
    assert (then["status"], then["last_seq"], then["last_message"]["content"]) == ("open", 1, "one")
    time = then["last_message"]["created_at"]
    _, at_time = kefu.get(f"{base}?as_of={time}", token)
    assert at_time["last_seq"] == 1
    assert visitor["conversation_id"] == then["id"]


def test_the_feed_is_cloudevents_and_its_position_moves_over_what_does_not_match(
    kefu: Kefu,
) -> None:
    _, _, sent = talk(kefu, "in the feed")
    _, auditor = kefu.agent("auditor")
    after = sent[0]["position"] - 1
    path = f"/api/v1/events?after={after}&limit=1"
    status, events, headers = kefu.request("GET", path, None, auditor)
    assert (status, headers["content-type"]) == (200, "application/cloudevents-batch+json")
    assert headers["kefu-next-position"] == str(after + 1)
    (event,) = events
    assert event["specversion"] == "1.0"
    assert {"id", "source", "type", "time", "subject", "data"} <= event.keys()
    assert event["data"]["content"] == "in the feed"
    assert all(name.isalnum() and name == name.lower() for name in event)
    path = f"/api/v1/events?after={after}&types=nothing.like.this"
    status, events, headers = kefu.request("GET", path, None, auditor)
    assert events == []
    assert int(headers["kefu-next-position"]) > after + 1
    path = f"/api/v1/events?after={after}&types=org.kefu.message.*&categories=conversation,message"
    _, events, _ = kefu.request("GET", path, None, auditor)
    assert events
    assert {event["type"].split(".")[2] for event in events} == {"message"}
    assert {event["subject"].split("-")[0] for event in events} == {"message"}


def test_the_feed_begins_at_a_moment(kefu: Kefu) -> None:
    _, _, sent = talk(kefu, "one", "two")
    _, auditor = kefu.agent("auditor")
    _, (event,) = kefu.get(f"/api/v1/events?after={sent[1]['position'] - 1}&limit=1", auditor)
    moment = event["time"].replace("Z", "%2B00:00")
    _, (first, *_) = kefu.get(f"/api/v1/events?since={moment}&limit=1", auditor)
    assert first["time"] == event["time"]
    _, events = kefu.get("/api/v1/events?since=2999-01-01T00:00:00Z", auditor)
    assert events == []
    assert kefu.request("GET", "/api/v1/events?since=2026-01-01T00:00:00", None, auditor)[0] == 422


def test_edit_and_recall(kefu: Kefu) -> None:
    visitor, path, sent = talk(kefu, "tpyo", "oops")
    token = visitor["token"]
    one, two = (f"{path}/{s['message_id']}" for s in sent)
    assert kefu.request("PATCH", one, {"content": "typo"}, token)[0] == 200
    status, last, _ = kefu.request("DELETE", two, None, token)
    assert status == 200
    headers = {"Kefu-Min-Position": str(last["position"])}
    _, page = kefu.get(path, token, headers=headers)
    edited, recalled = page["data"]
    assert (edited["content"], recalled["content"]) == ("typo", "")
    assert edited["edited_at"]
    assert recalled["recalled_at"]


def test_health_metrics_and_pages(kefu: Kefu) -> None:
    assert kefu.get("/healthz") == (200, {"status": "ok"})
    _, metrics = kefu.get("/metrics")
    for name in (
        *("kefu_commands_total", "kefu_command_seconds_bucket", "kefu_fsync_seconds_bucket"),
        *("kefu_batch_events_bucket", "kefu_queue_depth", "kefu_connections"),
        *('kefu_cursor_lag_events{cursor="views"}', 'kefu_cursor_lag_events{cursor="live"}'),
    ):
        assert name in metrics, name
    for path, kind in (
        ("/console", "text/html"),
        ("/demo", "text/html"),
        ("/widget.js", "text/javascript"),
        ("/console/static/main.js", "text/javascript"),
    ):
        status, _, headers = kefu.request("GET", path)
        assert (status, headers["content-type"].split(";")[0]) == (200, kind)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/console/static/../index.html", "/console/static/%2e%2e/__init__.py", "/nope"):
        assert kefu.get(path)[0] == 404, path


def test_openapi_describes_every_call_with_problems(kefu: Kefu) -> None:
    status, document = kefu.get("/openapi.json")
    assert (status, document["openapi"][:2]) == (200, "3.")
    paths = document["paths"]
    for path in (
        *("/api/v1/auth/login", "/api/v1/widget/sessions", "/api/v1/conversations"),
        *("/api/v1/conversations/{conversation_id}/messages", "/api/v1/events"),
    ):
        assert path in paths
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation.get("summary"), (path, method)
            if path.startswith("/api/"):
                assert "4XX" in operation["responses"], (path, method)


def test_log_in_and_sessions_are_limited(tmp_path: Path) -> None:
    limits = {"KEFU_LOGIN_PER_MINUTE": "3", "KEFU_SESSIONS_PER_MINUTE": "2"}
    with running(tmp_path / "data", **limits) as kefu:
        body = {"email": "a@b.io", "password": "x"}
        answers = [kefu.request("POST", "/api/v1/auth/login", body) for _ in range(4)]
        assert [status for status, _, _ in answers] == [401, 401, 401, 429]
        _status, problem, headers = answers[-1]
        assert problem["code"] == "rate-limited"
        assert int(headers["retry-after"]) > 0
        statuses = [kefu.request("POST", "/api/v1/widget/sessions", {})[0] for _ in range(3)]
        assert statuses == [201, 201, 429]
        assert json.dumps(problem)
