"""Refunds over HTTP, against a running system without providers: who may what, and what follows."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.people import API, World, fresh, problem
from tests.serving import running, wait_until

FOUR_EYES = {"automatic_up_to": "0", "four_eyes_above": "0"}


@pytest.fixture(scope="module")
def colleague(world: World) -> str:
    return world.kefu.agent(name="同事")[1]


def register(world: World, currency: str, total: str = "100.00") -> str:
    """A new order; numbers may hold slashes."""
    reference = f"2026/{uuid.uuid4()}"
    body = {"total": total, "currency": currency}
    status, found, _ = world.kefu.request("PUT", f"{API}/orders/{reference}", body, world.admin)
    assert (status, found["available"]) == (200, total)
    return reference


def set_policy(world: World, currency: str, **limits: Any) -> None:
    """Of a currency that no other test has."""
    path = f"{API}/refund_policies/{currency}"
    status, found, _ = world.kefu.request("PUT", path, {**FOUR_EYES, **limits}, world.admin)
    assert status == 200, found


def body_of(order: str, currency: str, amount: str) -> dict[str, Any]:
    return {
        "order_reference": order,
        "amount": amount,
        "currency": currency,
        "reason": "杯子碎了",
        "lines": [{"sku": "cup-7", "quantity": 1, "amount": amount}],
    }


def ask(world: World, conversation: str, order: str, currency: str, amount: str) -> Any:
    return world.kefu.post(f"{conversation}/refunds", body_of(order, currency, amount), world.agent)


def decide(world: World, asked: dict[str, Any], token: str, **more: Any) -> tuple[int, str]:
    path = f"{API}/refunds/{asked['refund_id']}/{more.pop('what', 'approve')}"
    return problem(world.kefu, "POST", path, more, token)


def approve(world: World, asked: dict[str, Any], token: str) -> Any:
    return world.kefu.post(f"{API}/refunds/{asked['refund_id']}/approve", {}, token)


def read(world: World, path: str, token: str, after: dict[str, Any]) -> Any:
    """Once the views hold what the receipt says, however busy the machine is."""

    def answered() -> Any:
        status, found = world.kefu.get(path, token, headers=fresh(after))
        assert status in (200, 503), found
        return found if status == 200 else None

    return wait_until(answered, 60, "the views hold it")


def shown(world: World, receipt: dict[str, Any], token: str) -> Any:
    return read(world, f"{API}/refunds/{receipt['refund_id']}", token, receipt)


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


def running_saga(world: World, conversation: str, currency: str) -> str:
    """A saga that waits for a provider that nobody has configured."""
    set_policy(world, currency, automatic_up_to="50.00", four_eyes_above="50.00")
    asked = ask(world, conversation, register(world, currency), currency, "5.00")
    return str(asked["refund_id"])


def test_a_saga_shows_its_steps_its_timeline_and_its_next_timer(tmp_path: Path) -> None:
    # By itself: after some failures of others' sagas the breaker would let none of its calls pass.
    with running(tmp_path / "data") as kefu:
        admin = kefu.login()
        alone = World(kefu, admin, "", admin, kefu.agent("auditor")[1], "", "")
        conversation = f"{API}/conversations/{kefu.visitor()['conversation_id']}"
        check_saga(alone, running_saga(alone, conversation, "AWG"))


def check_saga(world: World, saga: str) -> None:
    kefu, path = world.kefu, f"{API}/sagas/{saga}"

    def tried() -> Any:
        found = kefu.get(path, world.auditor)[1]
        return found if found["steps"][0]["attempts"] else None

    found = wait_until(tried, 60, "the worker has tried")
    assert (found["status"], found["step"], found["parked"]) == ("running", "inventory", None)
    assert found["next_timer_at"]
    assert [step["state"] for step in found["steps"]] == ["running", "todo", "todo", "todo"]
    assert found["steps"][0]["key"] == f"refund-{saga}-inventory-1"
    types = [event["type"] for event in found["timeline"]]
    assert types[:3] == [
        "saga.started.v1",
        "saga.call_intended.v1",
        "saga.call_not_executed.v1",
    ]
    missing = found["timeline"][2]
    assert missing["data"]["code"] == "not-configured"
    assert missing["text"].keys() == {"zh", "en"}
    assert missing["actor"]["kind"] == "system"
    filtered = f"{API}/sagas?definition=refund&status=running&limit=200"
    listed = read(world, filtered, world.agent, found["timeline"][0])
    assert saga in [one["id"] for one in listed["data"]]
    of = f"conversation_id={found['conversation_id']}"
    (row,) = kefu.get(f"{API}/sagas?{of}", world.agent)[1]["data"]
    assert row.keys() == found.keys() - {"steps", "timeline"}
    assert kefu.get(f"{API}/sagas?older_than_s=9000&{of}", world.agent)[1]["data"] == []


def test_only_a_parked_saga_takes_a_decision(world: World, conversation: str) -> None:
    saga, kefu = running_saga(world, conversation, "AZN"), world.kefu
    path, retry = f"{API}/sagas/{saga}/actions", {"action": "retry", "reason": "again"}
    assert problem(kefu, "POST", path, retry, world.agent) == (409, "saga-not-parked")
    skip = {"action": "skip", "reason": "not needed"}
    assert problem(kefu, "POST", path, skip, world.agent) == (403, "forbidden")
    assert problem(kefu, "POST", path, skip, world.admin) == (409, "saga-not-parked")
    assert problem(kefu, "POST", path, {"action": "pay"}, world.admin)[0] == 422
    unknown = f"{API}/sagas/{uuid.uuid4()}"
    assert problem(kefu, "GET", unknown, None, world.agent) == (404, "saga-not-found")
    assert problem(kefu, "POST", f"{unknown}/actions", retry, world.agent)[0] == 404
    _, listed = kefu.get(f"{API}/sagas/definitions", world.auditor)
    assert {one["name"] for one in listed["data"]} == {"refund", "cancellation"}
    for one in listed["data"]:
        assert one["mermaid"].startswith("stateDiagram-v2\n")
        assert one["svg"].startswith("<svg ")


def test_an_order_that_is_being_cancelled_is_not_refunded(world: World, conversation: str) -> None:
    kefu, order = world.kefu, register(world, "BAM")
    id = conversation.rpartition("/")[2]
    path = f"{API}/orders/{order}/cancel"
    status, found, _ = kefu.request("POST", path, {"conversation_id": id}, world.agent)
    assert (status, found["status"]) == (202, "running")
    _, state = kefu.get(f"{API}/orders/{order}", world.agent)
    assert (state["cancellation_id"], state["cancelled"]) == (found["cancellation_id"], False)
    body = body_of(order, "BAM", "1.00")
    refused = problem(kefu, "POST", f"{conversation}/refunds", body, world.agent)
    assert refused == (409, "order-cancelled")
    listed = read(world, f"{API}/sagas?conversation_id={id}", world.agent, found)
    assert [one["definition"] for one in listed["data"]] == ["cancellation"]


def test_an_auditors_look_at_a_refund_is_an_event(world: World, conversation: str) -> None:
    asked = ask(world, conversation, register(world, "BBD"), "BBD", "1.00")
    shown(world, asked, world.auditor)
    path = f"{API}/events?types=audit.*&after={asked['position']}&limit=200"
    _, events = world.kefu.get(path, world.auditor)
    read = [(event["data"]["what"], event["data"]["subject"]) for event in events]
    assert ("refunds", asked["refund_id"]) in read


def test_the_life_of_a_conversation_and_of_a_refund_tell_of_the_refund(
    world: World, conversation: str
) -> None:
    saga, kefu = running_saga(world, conversation, "BDT"), world.kefu
    first = kefu.get(f"{API}/sagas/{saga}", world.admin)[1]["timeline"][0]
    path = f"{conversation}/history?limit=200"
    life = read(world, path, world.auditor, first)
    types = [event["type"].rpartition(".")[0] for event in life["data"]]
    wanted = ["conversation.opened", "order.registered", "refund.requested", "refund.approved"]
    wanted += ["order.amount_reserved", "saga.started", "saga.call_intended"]
    assert set(wanted) <= set(types)
    assert types.index("refund.requested") < types.index("saga.started")
    replay = json.loads(kefu.cli("audit", "replay", "--refund", saga, "--json").stdout)
    assert (replay["refund"]["status"], replay["saga"]) == ("approved", "running")
    told = {step["type"].rpartition(".")[0] for step in replay["steps"]}
    assert set(wanted[1:]) <= told
    text = kefu.cli("audit", "replay", "--refund", saga).stdout
    assert "asked for a refund of 5.00 BDT" in text
    assert kefu.cli("audit", "replay", check=False).returncode == 2


def test_an_erased_contacts_reason_is_gone_and_its_refund_can_still_be_decided(
    world: World, visitor: dict[str, Any], conversation: str, colleague: str
) -> None:
    kefu = world.kefu
    asked = ask(world, conversation, register(world, "BGN"), "BGN", "1.00")
    kefu.post(f"{API}/contacts/{visitor['contact_id']}/erase", {}, world.admin)
    path = f"{API}/refunds/{asked['refund_id']}/reject"
    rejected = kefu.post(path, {"reason": "李雷 asked for it"}, colleague)
    found = shown(world, rejected, world.agent)
    assert (found["reason"], found["rejection"]) == ("", {"code": "declined", "reason": ""})
    report = json.loads(kefu.cli("views", "verify", "--json").stdout)
    assert report["ok"], report["differences"]


def test_the_command_line_does_the_same(world: World, conversation: str) -> None:
    kefu, order = world.kefu, f"cli-{uuid.uuid4()}"
    made = json.loads(kefu.cli("orders", "register", order, "50.00", "BHD", "--json").stdout)
    assert (made["total"], made["total_minor"]) == ("50.000", 50_000)
    assert "available: 50.000 BHD" in kefu.cli("orders", "show", order).stdout
    limits = ("--automatic-up-to", "5", "--four-eyes-above", "10", "--agent-daily", "100")
    policy = json.loads(kefu.cli("refunds", "policy", "BHD", *limits, "--json").stdout)
    assert (policy["automatic_up_to"], policy["agent_daily"]) == ("5.000", "100.000")
    kefu.cli("refunds", "policy", "BHD", "--agent-daily", "none")
    printed = kefu.cli("refunds", "policy", "BHD").stdout
    assert "agent daily: no limit" in printed
    assert "four eyes above: 10.000" in printed
    asked = ask(world, conversation, order, "BHD", "5.000")
    saga = asked["refund_id"]
    shown(world, asked, world.agent)
    listed = kefu.cli("sagas", "list", "--limit", "1000", "--json", check=False)
    assert saga in [one["id"] for one in json.loads(listed.stdout)]
    assert listed.returncode == 0  # none is parked
    assert "inventory" in kefu.cli("sagas", "list", "--definition", "refund").stdout
    found = kefu.cli("sagas", "show", saga).stdout
    assert f"refund-{saga}-inventory-1" in found
    assert "the saga began: refund, version 1" in found
    for command in ("retry", "skip", "force-compensate"):
        refused = kefu.cli("sagas", command, saga, "--reason", "x", check=False)
        assert refused.returncode == 1
        assert "is not parked" in refused.stderr
    assert kefu.cli("sagas", "retry", saga, check=False).returncode == 2
    assert kefu.cli("sagas", "mark-settled", saga, "--reason", "x", check=False).returncode == 2
    assert kefu.cli("sagas", "show", str(uuid.uuid4()), check=False).returncode == 1
