"""Sagas over HTTP and on the command line, without providers; what is told of refunds to whom."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.people import API, World, problem
from tests.end_to_end.refunds import ask, body_of, read, register, running_saga, shown
from tests.serving import running, wait_until


@pytest.fixture(scope="module")
def colleague(world: World) -> str:
    return world.kefu.agent(name="同事")[1]


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
