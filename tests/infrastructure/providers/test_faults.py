"""What each fault of the real sandbox means to the adapter."""

import time
from email.utils import formatdate
from typing import Any
from uuid import uuid4

import pytest

from application.sagas.outcome import OutcomeKind
from infrastructure.providers.participant import HttpParticipant
from tests.infrastructure.providers.conftest import body
from tests.sandbox import Sandbox
from tests.serving import wait_until

LONG_S = 30.0
SHORT_S = 0.5


@pytest.mark.parametrize(
    ("fault", "kind", "code", "done"),
    [
        ({"fault": "drop-request"}, OutcomeKind.UNKNOWN, "connection-broken", False),
        ({"fault": "drop-answer"}, OutcomeKind.UNKNOWN, "connection-broken", True),
        ({"fault": "hang"}, OutcomeKind.UNKNOWN, "timeout", False),
        ({"fault": "hang", "done": True}, OutcomeKind.UNKNOWN, "timeout", True),
        ({"fault": "in-flight"}, OutcomeKind.UNKNOWN, "in-flight", False),
        ({"fault": "status", "status": 500}, OutcomeKind.UNKNOWN, "sandbox-fault", False),
        (
            {"fault": "status", "status": 502, "done": True},
            OutcomeKind.UNKNOWN,
            "sandbox-fault",
            True,
        ),
        ({"fault": "status", "status": 503}, OutcomeKind.UNKNOWN, "sandbox-fault", False),
        (
            {"fault": "status", "status": 503, "retry_after": "7"},
            OutcomeKind.NOT_EXECUTED,
            "sandbox-fault",
            False,
        ),
        ({"fault": "status", "status": 429}, OutcomeKind.NOT_EXECUTED, "sandbox-fault", False),
        ({"fault": "status", "status": 401}, OutcomeKind.NOT_EXECUTED, "unauthorised", False),
        ({"fault": "status", "status": 407}, OutcomeKind.NOT_EXECUTED, "unauthorised", False),
        ({"fault": "status", "status": 404}, OutcomeKind.DECLINED, "sandbox-fault", False),
        ({"fault": "status", "status": 302}, OutcomeKind.UNKNOWN, "sandbox-fault", False),
        ({"fault": "decline", "code": "card-closed"}, OutcomeKind.DECLINED, "card-closed", False),
        ({"fault": "delay", "delay_s": 0.1}, OutcomeKind.SUCCEEDED, "", True),
    ],
)
async def test_a_fault_has_its_outcome_and_is_done_or_not(
    sandbox: Sandbox,
    payment: HttpParticipant,
    fault: dict[str, Any],
    kind: OutcomeKind,
    code: str,
    done: bool,
) -> None:
    key = str(uuid4())
    sandbox.faults({"operation": "payment.refund", "times": 1, **fault})
    timeout_s = SHORT_S if fault["fault"] == "hang" else LONG_S
    outcome = await payment.call("payment.refund", key, body(), timeout_s)
    assert (outcome.kind, outcome.code) == (kind, code)
    paid = [payout for payout in sandbox.ledger()["payouts"] if payout["key"] == key]
    assert len(paid) == done


@pytest.mark.parametrize("seconds", [True, False])
async def test_retry_after_is_taken_as_seconds_and_as_a_date(
    sandbox: Sandbox, payment: HttpParticipant, seconds: bool
) -> None:
    text = "600" if seconds else formatdate(time.time() + 600, usegmt=True)
    sandbox.faults({"fault": "status", "status": 429, "retry_after": text, "times": 1})
    outcome = await payment.call("payment.refund", str(uuid4()), body(), LONG_S)
    assert outcome.retry_after_s is not None
    assert 500 < outcome.retry_after_s <= 600


async def test_a_key_in_flight_is_asked_for_again_soon(
    sandbox: Sandbox, payment: HttpParticipant
) -> None:
    sandbox.faults({"fault": "in-flight", "times": 1})
    outcome = await payment.call("payment.refund", str(uuid4()), body(), LONG_S)
    assert outcome.retry_after_s == 1.0


async def test_a_late_call_behind_its_compensation_is_declined_and_found_so(
    sandbox: Sandbox, erp: HttpParticipant
) -> None:
    key, data = str(uuid4()), body()
    undo = body(action_key=key)
    undone = await erp.call("erp.cancel_return", f"{key}-undo", undo, LONG_S)
    late = await erp.call("erp.authorise_return", key, data, LONG_S)
    found = await erp.look_up("erp.authorise_return", key, LONG_S)
    assert undone.kind is OutcomeKind.SUCCEEDED
    assert late.kind is found.kind is OutcomeKind.DECLINED
    assert late.code == found.code == "already-compensated"


async def test_a_time_out_is_cleared_up_by_asking(
    sandbox: Sandbox, payment: HttpParticipant
) -> None:
    key = str(uuid4())
    sandbox.faults({"fault": "hang", "done": True, "times": 1})
    assert (await payment.call("payment.refund", key, body(), SHORT_S)).code == "timeout"
    assert (await payment.look_up("payment.refund", key, LONG_S)).kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "drop-request"},
        {"fault": "hang"},
        *({"fault": "status", "status": status} for status in (302, 400, 401, 403, 422, 429, 500)),
        {"fault": "status", "status": 503, "retry_after": "7"},
    ],
)
async def test_a_question_without_an_answer_says_nothing_of_the_call(
    sandbox: Sandbox, payment: HttpParticipant, fault: dict[str, Any]
) -> None:
    key = str(uuid4())
    await payment.call("payment.refund", key, body(), LONG_S)
    sandbox.faults({"operation": "payment.look_up", **fault})
    timeout_s = SHORT_S if fault["fault"] == "hang" else LONG_S
    assert (await payment.look_up("payment.refund", key, timeout_s)).kind is OutcomeKind.UNKNOWN


async def test_a_late_failure_is_found_later_than_the_success(
    sandbox: Sandbox, payment: HttpParticipant
) -> None:
    key = str(uuid4())
    sandbox.faults({"fault": "late-failure", "code": "account-gone", "after_s": 0.1, "times": 1})
    first = await payment.call("payment.refund", key, body(), LONG_S)

    def is_reversed() -> bool:
        states = [row["state"] for row in sandbox.ledger()["payouts"] if row["key"] == key]
        return states == ["reversed"]

    wait_until(is_reversed, LONG_S, "the payout is reversed")
    later = await payment.look_up("payment.refund", key, LONG_S)
    assert (first.kind, later.kind) == (OutcomeKind.SUCCEEDED, OutcomeKind.DECLINED)
    assert later.code == "account-gone"
    assert first.at_us is not None
    assert later.at_us is not None
    assert first.at_us < later.at_us
