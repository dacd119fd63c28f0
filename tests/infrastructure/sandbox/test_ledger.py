"""The sandbox is a good provider: idempotent, exact, with DTM's barrier."""

import threading
from typing import Any

import pytest

from tests.infrastructure.sandbox.conftest import refund
from tests.sandbox import Sandbox
from tests.serving import wait_until

UNDOS = [
    ("/erp/returns", "/erp/returns/cancel", "returns"),
    ("/erp/postings", "/erp/postings/reverse", "postings"),
    ("/erp/shipments/stop", "/erp/shipments/resume", "shipments"),
]


def test_it_says_what_it_is_in_every_answer(sandbox: Sandbox) -> None:
    answers = [
        sandbox.request("POST", "/payment/refunds", refund(), "says"),
        sandbox.request("POST", "/payment/refunds", refund()),
        sandbox.request("GET", "/nowhere"),
        sandbox.request("GET", "/_sandbox/calls"),
    ]
    assert [status for status, _, _ in answers] == [200, 400, 404, 200]
    assert all(headers["kefu-sandbox"] == "1" for _, _, headers in answers)


def test_a_call_without_a_key_or_with_a_bad_body_is_refused(sandbox: Sandbox) -> None:
    good = refund()
    assert sandbox.request("POST", "/payment/refunds", good)[1]["code"] == "idempotency-key-missing"
    bad: list[Any] = [
        b"",
        [],
        {},
        {**good, "amount_minor": 0},
        {**good, "amount_minor": 5.5},
        {**good, "amount_minor": True},
        {**good, "amount_minor": "5"},
        {**good, "amount_minor": None},
        {**good, "currency": "eur"},
        {**good, "order_reference": ""},
        {**good, "more": "x" * 70_000},
    ]
    for number, body in enumerate(bad):
        status, answer, _ = sandbox.request("POST", "/payment/refunds", body, f"bad-{number}")
        assert (status, answer["code"]) == (400, "invalid-body"), body
    status, answer, _ = sandbox.request("POST", "/erp/returns/cancel", good, "bad-undo")
    assert (status, answer["code"]) == (400, "invalid-body")
    assert good["order_reference"] not in sandbox.ledger()["by_order"]


def test_a_repeat_gets_the_first_answer_and_another_body_is_refused(sandbox: Sandbox) -> None:
    body = refund()
    first, again = (sandbox.request("POST", "/payment/refunds", body, "again") for _ in range(2))
    assert first[:2] == again[:2]
    assert first[1]["idempotency_key"] == "again"
    assert (first[1]["status"], first[1]["amount_minor"]) == ("succeeded", 500)
    other = {**body, "amount_minor": 501}
    status, answer, _ = sandbox.request("POST", "/payment/refunds", other, "again")
    assert (status, answer["code"]) == (422, "idempotency-key-reused")
    status, answer, _ = sandbox.request("POST", "/payment/voids", body, "again")
    assert (status, answer["code"]) == (422, "idempotency-key-reused")
    totals = sandbox.ledger()["by_order"][body["order_reference"]]
    assert (totals["settled"], totals["settled_minor"]) == (1, 500)


def test_a_definite_no_is_remembered_for_ever(sandbox: Sandbox) -> None:
    body = refund()
    sandbox.faults({"fault": "decline", "code": "card-closed", "times": 1})
    first, again = (sandbox.request("POST", "/payment/refunds", body, "no") for _ in range(2))
    assert (first[0], first[1]["code"]) == (402, "card-closed")
    assert first[:2] == again[:2]
    found = sandbox.request("GET", "/payment/operations/no")
    assert (found[0], found[1]["status"]) == (200, "failed")
    assert body["order_reference"] not in sandbox.ledger()["by_order"]


def test_a_key_under_way_is_in_flight(sandbox: Sandbox) -> None:
    body = refund()
    sandbox.faults({"fault": "delay", "delay_s": 30, "times": 1})

    def first() -> None:
        with pytest.raises(OSError, match="timed out"):
            sandbox.request("POST", "/payment/refunds", body, "flight", timeout_s=1)

    thread = threading.Thread(target=first)
    thread.start()
    wait_until(lambda: "flight" in sandbox.calls()["by_key"], 20, "the first call has come")
    status, answer, _ = sandbox.request("POST", "/payment/refunds", body, "flight")
    thread.join()
    assert (status, answer["code"]) == (409, "in-flight")


def test_payouts_are_never_more_than_a_known_order_s_total(sandbox: Sandbox) -> None:
    body = refund()
    sandbox.order(body["order_reference"], 1200)
    answers = [
        sandbox.request("POST", "/payment/refunds", {**body, "refund_id": key}, key)
        for key in ("total-1", "total-2", "total-3")
    ]
    assert [status for status, _, _ in answers] == [200, 200, 402]
    assert answers[2][1]["code"] == "order-total-exceeded"
    dollars = {**body, "currency": "USD", "amount_minor": 1}
    answer = sandbox.request("POST", "/payment/refunds", dollars, "total-4")[1]
    assert answer["code"] == "currency-mismatch"
    totals = sandbox.ledger(body["order_reference"])["by_order"][body["order_reference"]]
    assert totals["settled_minor"] == 1000


@pytest.mark.parametrize(("do", "undo", "kind"), UNDOS)
def test_an_action_is_undone_once(sandbox: Sandbox, do: str, undo: str, kind: str) -> None:
    body, key = refund(), f"{kind}-done"
    undoing = {**body, "action_key": key}
    assert sandbox.request("POST", do, body, key)[0] == 200
    first = sandbox.request("POST", undo, undoing, f"{key}-undo")
    again = sandbox.request("POST", undo, undoing, f"{key}-undo")
    other = sandbox.request("POST", undo, undoing, f"{key}-undo-2")
    assert first[:2] == again[:2]
    assert "null" not in first[1]
    assert (other[0], other[1]["id"], other[1]["at_us"]) == (
        200,
        first[1]["id"],
        first[1]["at_us"],
    )
    (action,) = sandbox.ledger(body["order_reference"])[kind]
    assert action["state"] == "undone"
    # A repeat of the action is the first answer, not another action.
    assert sandbox.request("POST", do, body, key)[1]["status"] == "succeeded"
    (action,) = sandbox.ledger(body["order_reference"])[kind]
    assert action["state"] == "undone"


@pytest.mark.parametrize(("do", "undo", "kind"), UNDOS)
def test_a_compensation_before_its_action_is_null_and_blocks_it(
    sandbox: Sandbox, do: str, undo: str, kind: str
) -> None:
    body, key = refund(), f"{kind}-null"
    undoing = {**body, "action_key": key}
    first = sandbox.request("POST", undo, undoing, f"{key}-undo")
    assert (first[0], first[1]["null"], first[1]["status"]) == (200, True, "succeeded")
    assert sandbox.request("POST", undo, undoing, f"{key}-undo")[:2] == first[:2]
    for _ in range(2):
        status, answer, _ = sandbox.request("POST", do, body, key)
        assert (status, answer["code"]) == (409, "already-compensated")
    (action,) = sandbox.ledger(body["order_reference"])[kind]
    assert action["state"] == "null"


def test_an_action_that_hangs_and_arrives_behind_its_compensation_is_not_done(
    sandbox: Sandbox,
) -> None:
    body = refund()
    sandbox.faults({"operation": "erp.authorise_return", "fault": "delay", "delay_s": 2})
    with pytest.raises(OSError, match="timed out"):
        sandbox.request("POST", "/erp/returns", body, "hanging", timeout_s=0.5)
    undoing = {**body, "action_key": "hanging"}
    assert sandbox.request("POST", "/erp/returns/cancel", undoing, "hanging-undo")[1]["null"]

    def arrived() -> bool:
        return sandbox.request("GET", "/erp/operations/hanging")[0] == 200

    wait_until(arrived, 20, "the action has arrived")
    assert sandbox.request("GET", "/erp/operations/hanging")[1]["code"] == "already-compensated"
    (action,) = sandbox.ledger(body["order_reference"])["returns"]
    assert action["state"] == "null"


def test_a_compensation_of_another_kind_of_action_is_refused(sandbox: Sandbox) -> None:
    body = refund()
    sandbox.request("POST", "/erp/postings", body, "kind")
    undoing = {**body, "action_key": "kind"}
    status, answer, _ = sandbox.request("POST", "/erp/returns/cancel", undoing, "kind-undo")
    assert (status, answer["code"]) == (422, "wrong-action")


def test_a_void_pays_nothing(sandbox: Sandbox) -> None:
    body = {"order_reference": "void-order"}
    assert sandbox.request("POST", "/payment/voids", body, "void")[1]["status"] == "succeeded"
    ledger = sandbox.ledger("void-order")
    assert ledger["payouts"] == []
    assert [void["key"] for void in ledger["voids"]] == ["void"]


def test_payment_and_erp_know_only_their_own_keys(sandbox: Sandbox) -> None:
    sandbox.request("POST", "/payment/refunds", refund(), "own")
    assert sandbox.request("GET", "/payment/operations/own")[0] == 200
    assert sandbox.request("GET", "/erp/operations/own")[0] == 404


def test_every_call_and_question_is_counted(sandbox: Sandbox) -> None:
    before, body = sandbox.calls(), refund()
    sandbox.faults({"fault": "drop-request", "order": body["order_reference"], "times": 1})
    with pytest.raises(OSError):  # noqa: PT011 - whatever a closed connection is
        sandbox.request("POST", "/payment/refunds", body, "counted")
    for _ in range(2):
        sandbox.request("POST", "/payment/refunds", body, "counted")
    sandbox.request("GET", "/payment/operations/counted")
    after = sandbox.calls()
    assert after["by_key"]["counted"] == {"payment.refund": 3, "payment.look_up": 1}
    assert after["total"] == before["total"] + 4
