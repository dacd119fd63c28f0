"""The public contract over HTTP: who may what, repeats under a key, reads that wait for writes."""

import uuid
from typing import Any

from tests.end_to_end.people import API, World, fresh, problem
from tests.serving import Kefu


def test_each_role_is_refused_what_is_not_its_own(
    world: World, visitor: dict[str, Any], conversation: str, sent: dict[str, Any]
) -> None:
    kefu, other = world.kefu, somebody_else(world)
    refusals = [
        (403, "GET", f"{API}/conversations", None, visitor["token"]),
        (403, "GET", conversation, None, visitor["token"]),
        (403, "POST", f"{conversation}/assignments", {"assignee_id": None}, visitor["token"]),
        (403, "POST", f"{conversation}/toggle_status", {"status": "open"}, visitor["token"]),
        (404, "GET", f"{conversation}/messages", None, other["token"]),
        (404, "POST", f"{conversation}/messages", {"content": "x"}, other["token"]),
        (403, "POST", f"{conversation}/messages", {"content": "x"}, world.auditor),
        (403, "POST", f"{conversation}/assignments", {"assignee_id": None}, world.auditor),
        (403, "GET", f"{API}/events", None, world.agent),
        (403, "GET", f"{API}/events", None, world.admin),
        (403, "GET", f"{API}/events", None, visitor["token"]),
        (403, "GET", f"{API}/events", None, world.send_key),
        (403, "POST", f"{conversation}/messages", {"content": "x"}, world.feed_key),
        (403, "POST", f"{API}/agents", {"email": "x@y.z", "name": "x"}, world.agent),
        (401, "GET", f"{API}/conversations", None, None),
        (401, "GET", f"{API}/conversations", None, "no-such-token"),
    ]
    for status, *request in refusals:
        assert problem(kefu, *request)[0] == status, request


def somebody_else(world: World) -> dict[str, Any]:
    return world.kefu.visitor(name="Somebody Else")


def test_a_foreign_conversation_and_an_unknown_one_look_the_same_to_a_visitor(
    world: World, visitor: dict[str, Any]
) -> None:
    other = somebody_else(world)["conversation_id"]
    seen = []
    for id in (other, str(uuid.uuid4())):
        path = f"{API}/conversations/{id}/messages"
        status, body, _ = world.kefu.request("GET", path, None, visitor["token"])
        seen.append((status, body["code"], body["detail"].replace(id, "ID")))
    assert seen[0] == seen[1]
    assert seen[0][:2] == (404, "conversation-not-found")


def test_a_session_that_was_ended_opens_nothing(kefu: Kefu) -> None:
    token = kefu.agent()[1]
    assert kefu.get(f"{API}/conversations", token)[0] == 200
    assert kefu.request("POST", f"{API}/auth/logout", None, token)[0] == 204
    assert problem(kefu, "GET", f"{API}/conversations", None, token)[0] == 401


# Repeats.


def test_the_same_key_and_body_give_the_first_result_and_another_body_is_refused(
    kefu: Kefu, visitor: dict[str, Any], conversation: str
) -> None:
    path, token = f"{conversation}/messages", visitor["token"]
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = kefu.request("POST", path, {"content": "once"}, token, key)[:2]
    assert first[0] == 201
    assert kefu.request("POST", path, {"content": "once"}, token, key)[:2] == first
    refused = problem(kefu, "POST", path, {"content": "twice"}, token, key)
    assert refused == (422, "idempotency-key-reused")
    _, found = kefu.get(path, token, headers=fresh(first[1]))
    assert [message["content"] for message in found["data"]] == ["once"]


def test_a_key_is_its_holders_own(
    kefu: Kefu, visitor: dict[str, Any], conversation: str, world: World
) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    path, body = f"{conversation}/messages", {"content": "same words"}
    seqs = [
        kefu.request("POST", path, body, token, key)[1]["seq"]
        for token in (visitor["token"], world.agent)
    ]
    assert seqs == [1, 2]


def test_a_status_changed_under_a_key_is_not_changed_again_by_a_late_repeat(
    world: World, conversation: str, sent: dict[str, Any]
) -> None:
    kefu, path = world.kefu, f"{conversation}/toggle_status"
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = kefu.request("POST", path, {"status": "resolved"}, world.agent, key)[1]
    kefu.post(path, {"status": "open"}, world.agent)
    assert kefu.request("POST", path, {"status": "resolved"}, world.agent, key)[1] == first
    assert kefu.get(f"{conversation}?as_of=999999999", world.agent)[1]["status"] == "open"


# Reads that wait for writes.


def test_a_position_that_the_views_do_not_reach_is_answered_with_503_and_when_to_come_back(
    world: World,
) -> None:
    headers = {"Kefu-Min-Position": "999999999"}
    path = f"{API}/conversations"
    status, body, found = world.kefu.request("GET", path, None, world.agent, headers)
    assert (status, body["code"]) == (503, "unavailable")
    assert int(found["retry-after"]) >= 1
