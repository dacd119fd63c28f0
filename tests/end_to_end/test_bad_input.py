"""Bad input over HTTP: a stable code, and nothing written."""

from typing import Any

import pytest

from tests.end_to_end.people import API, World, fresh, problem
from tests.serving import Kefu

BAD_MESSAGES: list[tuple[Any, int, str]] = [
    ({}, 422, "invalid-input"),
    ({"content": 1}, 422, "invalid-input"),
    ({"content": None}, 422, "invalid-input"),
    ({"content": "x", "colour": "red"}, 422, "invalid-input"),
    ({"content": "x", "private": "no"}, 422, "invalid-input"),
    ({"content": "x", "ref": ""}, 422, "invalid-input"),
    ({"content": "x", "ref": "r" * 65}, 422, "invalid-input"),
    ({"content": ""}, 422, "content-empty"),
    ({"content": " \n\t"}, 422, "content-empty"),
    ({"content": "x" * 16_385}, 422, "content-too-long"),
    ({"content": "a\x00b"}, 422, "content-invalid"),
    ({"content": "a\x1bb"}, 422, "content-invalid"),
    (b'{"content": "\\ud800"}', 422, "invalid-input"),
    (b'{"content": "\xff"}', 400, "bad-request"),
    (b'{"content": "x"', 400, "malformed-json"),
    (b"[]", 422, "invalid-input"),
    (b"", 422, "invalid-input"),
    (b"[" * 100_000, 400, "bad-request"),
    (b'{"content": "' + b"x" * 1_100_000 + b'"}', 413, "payload-too-large"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_MESSAGES)
def test_a_bad_message_is_refused_with_a_stable_code_and_nothing_is_written(
    kefu: Kefu, visitor: dict[str, Any], conversation: str, body: Any, status: int, code: str
) -> None:
    path, token = f"{conversation}/messages", visitor["token"]
    assert problem(kefu, "POST", path, body, token) == (status, code)
    assert kefu.post(path, {"content": "good"}, token)["seq"] == 1


def test_the_longest_message_is_taken_and_kept_whole(
    kefu: Kefu, visitor: dict[str, Any], conversation: str
) -> None:
    path, token = f"{conversation}/messages", visitor["token"]
    content = "龙" * 16_384
    receipt = kefu.post(path, {"content": content}, token)
    _, found = kefu.get(path, token, headers=fresh(receipt))
    assert found["data"][0]["content"] == content


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=closed",
        "cursor=zzz",
        "cursor=%C2%B2",
        "assignee=%00",
        "label=%00",
    ],
)
def test_a_bad_query_is_refused_and_never_a_fault_of_ours(world: World, query: str) -> None:
    path = f"{API}/conversations?{query}"
    assert problem(world.kefu, "GET", path, None, world.agent)[0] == 422


@pytest.mark.parametrize("query", ["cursor=%C2%B2", "after_seq=-1", "before_seq=99999999999"])
def test_a_bad_place_in_a_thread_is_refused(
    world: World, conversation: str, sent: dict[str, Any], query: str
) -> None:
    path = f"{conversation}/messages?{query}"
    assert problem(world.kefu, "GET", path, None, world.agent)[0] == 422
