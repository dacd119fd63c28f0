"""Bad input: a stable code, a problem document, and nothing written."""

from typing import Any

import pytest

from tests.serving import Kefu

MESSAGES: list[tuple[Any, int, str]] = [
    ({"content": ""}, 422, "content-empty"),
    ({"content": " \n"}, 422, "content-empty"),
    ({"content": "x" * 16_385}, 422, "content-too-long"),
    ({"content": "a\x00b"}, 422, "content-invalid"),
    ({"content": "a\x1b[31m"}, 422, "content-invalid"),
    ({"content": 7}, 422, "invalid-input"),
    ({"content": None}, 422, "invalid-input"),
    ({}, 422, "invalid-input"),
    ({"content": "x", "private": "yes"}, 422, "invalid-input"),
    ({"content": "x", "colour": "red"}, 422, "invalid-input"),
    ({"content": "x", "ref": "r" * 65}, 422, "invalid-input"),
    ({"content": "x", "ref": ""}, 422, "invalid-input"),
    ([], 422, "invalid-input"),
    (b"{", 400, "malformed-json"),
    (b'{"content": "\xff\xfe"}', 400, "bad-request"),
    (b'{"content": "\\ud800"}', 422, "content-invalid"),
    (b"x" * (1024 * 1024 + 1), 413, "payload-too-large"),
]


def position(kefu: Kefu) -> int:
    return int(kefu.get("/readyz")[1]["log_position"])


@pytest.mark.parametrize(("body", "status", "code"), MESSAGES, ids=lambda v: str(v)[:40])
def test_a_bad_message_is_refused_with_its_code(
    kefu: Kefu, body: Any, status: int, code: str
) -> None:
    visitor = kefu.visitor()
    path = f"/api/v1/conversations/{visitor['conversation_id']}/messages"
    before = position(kefu)
    found, answer, headers = kefu.request("POST", path, body, visitor["token"])
    assert (found, answer["code"]) in {(status, code), (status, "invalid-input")}, answer
    assert headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= answer.keys()
    assert answer["status"] == found
    assert position(kefu) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/toggle_status", {"status": "asleep"}, 422, "invalid-input"),
        ("POST", "/toggle_status", {"status": "open", "snoozed_until": "x"}, 422, "invalid-input"),
        (
            "POST",
            "/toggle_status",
            {"status": "snoozed", "snoozed_until": "2001-01-01T00:00:00Z"},
            422,
            "invalid-input",
        ),
        (
            "POST",
            "/toggle_status",
            {"status": "snoozed", "snoozed_until": "2001-01-01"},
            422,
            "invalid-input",
        ),
        ("POST", "/assignments", {"assignee_id": "nobody"}, 404, "agent-not-found"),
        ("POST", "/assignments", {}, 422, "invalid-input"),
        ("POST", "/toggle_priority", {"priority": "huge"}, 422, "invalid-input"),
        ("POST", "/labels", {"labels": [""]}, 422, "invalid-input"),
        ("POST", "/labels", {"labels": "vip"}, 422, "invalid-input"),
        ("POST", "/update_last_seen", {"seq": 99}, 422, "invalid-input"),
        ("GET", "?as_of=yesterday", None, 422, "invalid-input"),
        ("GET", "?as_of=0", None, 404, "conversation-not-found"),
        ("GET", "/messages?after_seq=-1", None, 422, "invalid-input"),
        ("GET", "/messages?limit=201", None, 422, "invalid-input"),
        ("GET", "/messages?cursor=%00", None, 422, "invalid-input"),
        ("PATCH", "/messages/nothing", {"content": "x"}, 404, "message-not-found"),
        ("DELETE", "/messages/nothing", None, 404, "message-not-found"),
        ("PUT", "", {}, 405, "method-not-allowed"),
    ],
)
def test_bad_work_on_a_conversation_is_refused(
    kefu: Kefu, method: str, path: str, body: Any, status: int, code: str
) -> None:
    token = kefu.login()
    conversation = kefu.visitor()["conversation_id"]
    before = position(kefu)
    found, answer, headers = kefu.request(
        method, f"/api/v1/conversations/{conversation}{path}", body, token
    )
    assert (found, answer["code"]) == (status, code), answer
    assert headers["content-type"] == "application/problem+json"
    assert position(kefu) in (before, before + 1)  # the log-in of another test's agent aside


@pytest.mark.parametrize("id", ["x", "%00", "..%2f..%2fetc", "1%27%20OR%201=1", "a" * 5_000, "客"])
def test_an_unknown_id_is_not_found_whatever_it_is(kefu: Kefu, id: str) -> None:
    from urllib.parse import quote

    token = kefu.login()
    safe = quote(id, safe="%")
    for path in (f"/conversations/{safe}", f"/conversations/{safe}/messages", f"/contacts/{safe}"):
        status, body = kefu.get("/api/v1" + path, token)
        assert status == 404, (path, body)
    for path, body in (
        (f"/conversations/{safe}/messages", {"content": "x"}),
        (f"/conversations/{safe}/toggle_status", {"status": "open"}),
    ):
        status, answer, _ = kefu.request("POST", "/api/v1" + path, body, token)
        assert status == 404, (path, answer)


def test_a_resolved_conversation_takes_no_message(kefu: Kefu) -> None:
    visitor, token = kefu.visitor(), kefu.login()
    base = f"/api/v1/conversations/{visitor['conversation_id']}"
    kefu.post(base + "/toggle_status", {"status": "resolved"}, token)
    for who in (visitor["token"], token):
        status, body, _ = kefu.request("POST", base + "/messages", {"content": "x"}, who)
        assert (status, body["code"]) == (409, "conversation-resolved")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"contact": {"email": "not-an-address"}}, 422, "invalid-input"),
        ({"contact": {"name": "a\nb"}}, 422, "invalid-input"),
        ({"contact": {"identifier_hash": "00"}}, 422, "invalid-input"),
        ({"contact": {"surname": "x"}}, 422, "invalid-input"),
        ({"new_conversation": True}, 401, "unauthenticated"),
    ],
)
def test_a_bad_session_is_refused(kefu: Kefu, body: Any, status: int, code: str) -> None:
    found, answer, _ = kefu.request("POST", "/api/v1/widget/sessions", body)
    assert (found, answer["code"]) == (status, code)


def test_wrong_credentials_say_the_same_for_known_and_unknown_people(kefu: Kefu) -> None:
    answers = []
    for email in ("admin@localhost", "nobody@localhost", "not an address"):
        body = {"email": email, "password": "wrong"}
        status, answer, headers = kefu.request("POST", "/api/v1/auth/login", body)
        answers.append((status, answer["code"], answer["detail"], headers["www-authenticate"]))
    assert len(set(answers)) == 1
    assert answers[0][:2] == (401, "invalid-credentials")


def test_bad_positions_are_refused(kefu: Kefu) -> None:
    token = kefu.login()
    for bad in ("-1", "x", "9" * 30):
        status, body = kefu.get("/api/v1/conversations", token, headers={"Kefu-Min-Position": bad})
        assert (status, body["code"]) == (422, "invalid-input")
    far = {"Kefu-Min-Position": str(10**9)}
    status, body, headers = kefu.request("GET", "/api/v1/conversations", None, token, far)
    assert (status, body["code"]) == (503, "unavailable")
    assert "retry-after" in headers
