"""Refunds over HTTP, against a running system without providers: who may what, and who decides."""

import uuid
from typing import Any

import pytest

from tests.end_to_end.people import API, World, problem
from tests.end_to_end.refunds import (
    FOUR_EYES,
    approve,
    ask,
    body_of,
    decide,
    read,
    register,
    set_policy,
    shown,
)


@pytest.fixture(scope="module")
def colleague(world: World) -> str:
    return world.kefu.agent(name="同事")[1]


def test_above_the_limit_somebody_else_must_approve(
    world: World, conversation: str, sent: dict[str, Any], colleague: str
) -> None:
    kefu, order = world.kefu, register(world, "AED")
    body = {**body_of(order, "AED", "12.30"), "evidence": [sent["message_id"]]}
    asked = kefu.post(f"{conversation}/refunds", body, world.agent)
    assert asked["status"] == "requested"
    found = shown(world, asked, world.agent)
    assert (found["amount"], found["amount_minor"], found["currency"]) == ("12.30", 1230, "AED")
    assert found["requested_by"]["id"] == world.agent_id
    assert found["requested_by"]["name"]
    assert (found["evidence"], found["reason"]) == ([sent["message_id"]], "杯子碎了")
    assert found["lines"] == [{"sku": "cup-7", "quantity": 1, "amount": "12.30"}]
    assert found["may"] == {"approve": False, "reject": True}
    assert shown(world, asked, colleague)["may"] == {"approve": True, "reject": True}
    assert shown(world, asked, world.auditor)["may"] == {"approve": False, "reject": False}
    assert decide(world, asked, world.agent) == (403, "second-person-needed")
    approved = approve(world, asked, colleague)
    assert approved["status"] == "approved"
    found = shown(world, approved, world.agent)
    assert (found["rule"], found["decided_by"]["name"]) == ("four-eyes", "同事")
    assert (found["saga_id"], found["may"]["approve"]) == (found["id"], False)
    _, of_conversation = kefu.get(f"{conversation}/refunds", world.auditor)
    assert [one["id"] for one in of_conversation["data"]] == [found["id"]]
    _, listed = kefu.get(f"{API}/refunds?order_reference={order}&status=approved", world.agent)
    assert [one["id"] for one in listed["data"]] == [found["id"]]
    _, balance = kefu.get(f"{API}/orders/{order}", world.auditor)
    assert (balance["reserved"], balance["available"]) == ("12.30", "87.70")


def test_below_the_limit_the_policy_approves_and_between_them_one_person(
    world: World, conversation: str
) -> None:
    set_policy(world, "AFN", automatic_up_to="5.00", four_eyes_above="20.00")
    order = register(world, "AFN")
    automatic = ask(world, conversation, order, "AFN", "5.00")
    assert automatic["status"] == "approved"
    found = shown(world, automatic, world.agent)
    assert (found["rule"], found["decided_by"]["kind"]) == ("automatic", "policy")
    alone = ask(world, conversation, order, "AFN", "20.00")
    assert shown(world, alone, world.agent)["may"]["approve"]
    assert approve(world, alone, world.agent)["status"] == "approved"
    last = ask(world, conversation, order, "AFN", "20.01")
    assert last["status"] == "requested"
    policies = read(world, f"{API}/refund_policies", world.auditor, last)
    (policy,) = [one for one in policies["data"] if one["currency"] == "AFN"]
    assert policy == {
        "currency": "AFN",
        "automatic_up_to": "5.00",
        "four_eyes_above": "20.00",
        "agent_daily": None,
    }


def test_what_an_agent_approves_in_a_day_is_limited(world: World, conversation: str) -> None:
    set_policy(world, "ALL", automatic_up_to="8.00", four_eyes_above="50.00", agent_daily="10.00")
    order = register(world, "ALL")
    assert ask(world, conversation, order, "ALL", "8.00")["status"] == "approved"
    second = ask(world, conversation, order, "ALL", "8.00")
    assert second["status"] == "requested"
    assert decide(world, second, world.agent) == (409, "refund-limit-reached")
    assert approve(world, second, world.admin)["status"] == "approved"


def test_refunds_of_an_order_never_exceed_its_total(
    world: World, conversation: str, colleague: str
) -> None:
    order = register(world, "AMD")
    first, second = (ask(world, conversation, order, "AMD", "60.00") for _ in range(2))
    assert approve(world, first, colleague)["status"] == "approved"
    late = approve(world, second, colleague)
    assert late["status"] == "rejected"
    found = shown(world, late, world.agent)
    assert (found["rejection"]["code"], found["decided_by"]["kind"]) == (
        "order-balance-exceeded",
        "policy",
    )
    path, body = f"{conversation}/refunds", body_of(order, "AMD", "40.00")
    for change, code in (
        ({"amount": "40.01"}, (409, "order-balance-exceeded")),
        ({"order_reference": "none"}, (404, "order-not-found")),
        ({"amount": "1.005"}, (422, "invalid-input")),
        ({"amount": "-1"}, (422, "invalid-input")),
        ({"currency": "EUR"}, (422, "invalid-input")),
        ({"evidence": [str(uuid.uuid4())]}, (422, "invalid-input")),
    ):
        assert problem(world.kefu, "POST", path, {**body, **change}, world.agent) == code, change


def test_a_rejection_says_why_and_stays(world: World, conversation: str, colleague: str) -> None:
    asked = ask(world, conversation, register(world, "ANG"), "ANG", "1.00")
    path = f"{API}/refunds/{asked['refund_id']}/reject"
    rejected = world.kefu.post(path, {"reason": "超过退货期"}, colleague)
    found = shown(world, rejected, world.agent)
    assert (found["status"], found["rejection"]) == (
        "rejected",
        {"code": "declined", "reason": "超过退货期"},
    )
    assert decide(world, asked, colleague) == (409, "refund-decided")
    unknown = {"refund_id": str(uuid.uuid4())}
    assert decide(world, unknown, colleague) == (404, "refund-not-found")


def test_a_repeat_under_one_key_is_one_refund(world: World, conversation: str) -> None:
    path, body = f"{conversation}/refunds", body_of(register(world, "AOA"), "AOA", "1.00")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = world.kefu.post(path, body, world.agent, headers=key)
    assert world.kefu.post(path, body, world.agent, headers=key) == first


def test_nobody_does_what_is_not_its_own(
    world: World, visitor: dict[str, Any], conversation: str
) -> None:
    kefu, order = world.kefu, register(world, "ARS")
    keys = {
        scope: kefu.post(f"{API}/api_keys", {"name": scope, "scopes": [scope]}, world.admin)[
            "token"
        ]
        for scope in ("refunds:write", "orders:write")
    }
    body = body_of(order, "ARS", "1.00")
    asked = kefu.post(f"{conversation}/refunds", body, keys["refunds:write"])
    assert shown(world, asked, world.agent)["requested_by"]["kind"] == "api_key"
    refund, total = f"{API}/refunds/{asked['refund_id']}", {"total": "9.00", "currency": "ARS"}
    assert kefu.get(f"{API}/orders/{order}", keys["orders:write"])[0] == 200
    key_order = f"{API}/orders/{uuid.uuid4()}"
    assert kefu.request("PUT", key_order, total, keys["orders:write"])[0] == 200
    assert problem(kefu, "PUT", f"{API}/orders/{order}", total, world.admin)[1] == "order-known"
    action = {"action": "retry", "reason": "x"}
    for who in (visitor["token"], world.auditor, world.send_key, *keys.values()):
        for method, path, sent in (
            ("POST", f"{refund}/approve", {}),
            ("POST", f"{refund}/reject", {"reason": "x"}),
            ("PUT", f"{API}/refund_policies/ARS", FOUR_EYES),
            ("POST", f"{API}/orders/{order}/cancel", {"conversation_id": "x"}),
            ("POST", f"{API}/sagas/x/actions", action),
        ):
            assert problem(kefu, method, path, sent, who)[0] == 403, (path, who)
    for who in (visitor["token"], *keys.values()):
        for path in (refund, f"{API}/refunds", f"{API}/sagas", f"{conversation}/refunds"):
            assert problem(kefu, "GET", path, None, who)[0] == 403, path
    for who in (visitor["token"], world.auditor, keys["orders:write"]):
        assert problem(kefu, "POST", f"{conversation}/refunds", body, who)[0] == 403
    for who in (visitor["token"], world.agent, keys["refunds:write"]):
        assert problem(kefu, "PUT", key_order, total, who)[0] == 403
    assert problem(kefu, "PUT", f"{API}/refund_policies/ARS", FOUR_EYES, world.agent)[0] == 403
    assert problem(kefu, "GET", refund, None, None)[0] == 401
