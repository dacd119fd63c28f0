"""Faults happen to the calls that they name, so often as they say, and to no others."""

from typing import Any

import pytest

from tests.infrastructure.sandbox.conftest import refund
from tests.sandbox import Sandbox


def _status(sandbox: Sandbox, path: str, body: dict[str, Any], key: str) -> int:
    return sandbox.request("POST", path, body, key)[0]


def test_a_fault_is_for_an_operation_and_orders_that_begin_so(sandbox: Sandbox) -> None:
    (id,) = sandbox.faults(
        {"fault": "status", "status": 418, "operation": "erp.post_refund", "order": "bad-"}
    )
    bad, good = refund(order_reference="bad-1"), refund(order_reference="good-1")
    assert _status(sandbox, "/erp/postings", bad, "fault-1") == 418
    assert _status(sandbox, "/erp/postings", good, "fault-2") == 200
    assert _status(sandbox, "/erp/returns", bad, "fault-3") == 200
    assert sandbox.hits() == {id: 1}


def test_a_fault_happens_so_often_as_it_says(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 500, "times": 2})
    body = refund()
    statuses = [_status(sandbox, "/payment/refunds", body, "times") for _ in range(4)]
    assert statuses == [500, 500, 200, 200]


def test_a_fault_of_every_call_is_of_no_look_up(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 500})
    assert sandbox.request("GET", "/payment/operations/none")[0] == 404
    sandbox.faults({"fault": "status", "status": 501, "operation": "payment.look_up"})
    assert sandbox.request("GET", "/payment/operations/none")[0] == 501


def test_faults_add_up(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "decline", "code": "no", "times": 1}, {"fault": "drop-answer"})
    body = refund()
    with pytest.raises(OSError):  # noqa: PT011 - whatever a closed connection is
        sandbox.request("POST", "/payment/refunds", body, "both")
    assert sandbox.request("GET", "/payment/operations/both")[1]["code"] == "no"


def test_faults_are_taken_away(sandbox: Sandbox) -> None:
    one, two = sandbox.faults({"fault": "status"}, {"fault": "status", "status": 501})
    assert sandbox.request("DELETE", f"/_sandbox/faults/{one}")[0] == 204
    assert sandbox.request("DELETE", f"/_sandbox/faults/{one}")[0] == 404
    assert set(sandbox.hits()) == {two}
    sandbox.clear_faults()
    assert _status(sandbox, "/payment/refunds", refund(), "cleared") == 200


@pytest.mark.parametrize(
    "fault",
    [
        b"",
        {"fault": "earthquake"},
        {"fault": "status", "colour": "red"},
        {"fault": "status", "status": 99},
        {"fault": "status", "times": 0},
        {"fault": "status", "operation": "payment.lend"},
        {"fault": "delay", "delay_s": -1},
    ],
)
def test_what_is_no_fault_is_refused(sandbox: Sandbox, fault: Any) -> None:
    assert sandbox.request("POST", "/_sandbox/faults", fault)[0] == 400
    assert sandbox.hits() == {}
