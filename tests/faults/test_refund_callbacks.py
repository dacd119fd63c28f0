"""Payments that are settled later: signed callbacks that come late, twice, in the wrong order, not
at all, or take back what was paid.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from domain.saga.events import OperatorAction, ParkReason
from domain.saga.state import Status
from tests.faults.refunds import System, assert_nothing_left, assert_paid_once, refund_system
from tests.serving import wait_until

pytestmark = pytest.mark.faults
CALLBACKS = "/api/v1/providers/payment/callbacks"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    # Asking is so rare that a callback is first, unless there is none.
    environment = {"KEFU_SAGA_FIRST_DELAY_S": "3", "KEFU_SAGA_LONGEST_DELAY_S": "3"}
    options = ("--settle", "async", "--settle-after-s", "0.2")
    directory = tmp_path_factory.mktemp("callbacks")
    with refund_system(directory, *options, callbacks=True, **environment) as found:
        yield found


@pytest.fixture(autouse=True)
def no_faults_left(system: System) -> Iterator[None]:
    yield
    system.sandbox.clear_faults()


def fault(system: System, order: str, kind: str, **more: Any) -> None:
    system.sandbox.faults({"fault": kind, "operation": "payment.refund", "order": order, **more})


def all_delivered(system: System) -> bool:
    return bool(system.sandbox.callbacks()["waiting"] == 0)


def asked(system: System, id: str) -> int:
    """How often the provider was asked about the payment."""
    found = system.sandbox.calls()["by_key"].get(f"refund-{id}-payment-1", {})
    return int(found.get("payment.look_up", 0))


def test_a_callback_settles_the_payment_and_nobody_has_to_ask(system: System) -> None:
    id = system.refund()
    system.wait_for(id, Status.SETTLING, Status.COMPLETED)
    assert_paid_once(system, id)
    assert "CallAccepted" in system.names(id)
    assert asked(system, id) == 0


def test_a_repeated_callback_is_no_second_transition(system: System) -> None:
    order = system.order()
    fault(system, order, "duplicate-callback", copies=5)
    id = system.refund(order)
    assert_paid_once(system, id)
    wait_until(lambda: all_delivered(system), 30, "all callbacks are delivered")
    assert_paid_once(system, id)
    assert system.names(id).count("CallSucceeded") == 4


def test_without_a_callback_the_provider_is_asked(system: System) -> None:
    order = system.order()
    fault(system, order, "no-callback")
    id = system.refund(order)
    assert_paid_once(system, id)
    assert asked(system, id) >= 1


def test_a_payout_that_fails_afterwards_parks_even_a_completed_refund(system: System) -> None:
    order = system.order()
    fault(system, order, "late-failure", after_s=1.0, code="account-closed")
    id = system.refund(order)
    saga = system.wait_for(id, Status.PARKED)
    assert saga.parked is not None
    assert saga.parked.reason is ParkReason.REVERSED
    assert system.last_of(id) == "payment_reversed"
    assert system.order_state(order).reserved == {id: 400}
    assert system.payouts(id)["reversed"] == 1
    system.sandbox.clear_faults()
    system.operate(id, OperatorAction.RETRY)
    system.wait_for(id, Status.COMPLETED)
    assert system.payouts(id)["settled"] == 1
    assert f"refund-{id}-payment-2" in system.saga(id).calls


def test_a_payout_that_fails_afterwards_can_be_given_up_whole(system: System) -> None:
    order = system.order()
    fault(system, order, "late-failure", after_s=0.5)
    id = system.refund(order)
    system.wait_for(id, Status.PARKED)
    system.operate(id, OperatorAction.FORCE_COMPENSATE)
    assert_nothing_left(system, id)
    assert system.order_state(order).available_minor == 1_000


def test_callbacks_in_the_wrong_order_end_with_what_happened_last(system: System) -> None:
    order = system.order()
    fault(system, order, "late-failure", after_s=0.1)
    fault(system, order, "reorder-callbacks", hold_s=1.0)
    id = system.refund(order)
    wait_until(
        lambda: "CallDeclined" in system.names(id) or "CallReversed" in system.names(id),
        30,
        "the failure is known",
    )
    wait_until(lambda: all_delivered(system), 30, "all callbacks are delivered")
    saga = system.wait(id, lambda saga: saga.timer is None, "it has come to rest")
    if saga.parked is not None:
        system.operate(id, OperatorAction.FORCE_COMPENSATE)
    assert_nothing_left(system, id)
    assert system.payouts(id)["settled"] == 0


def test_callbacks_reach_a_core_that_was_killed_when_it_is_back(system: System) -> None:
    order = system.order()
    fault(system, order, "duplicate-callback", copies=2)
    id = system.refund(order)
    system.wait(id, lambda saga: "payment" in str(saga.pending), "at the payment")
    system.kill("core")
    # Its callbacks find nobody, unless this machine is so slow that they came before.
    wait_until(lambda: system.payouts(id).get("settled") == 1, 60, "the provider has paid")
    system.begin("core")
    assert_paid_once(system, id)


def test_a_callback_without_a_good_signature_is_refused_and_changes_nothing(
    system: System,
) -> None:
    order = system.order()
    fault(system, order, "no-callback")
    id = system.refund(order)
    system.wait_for(id, Status.SETTLING, Status.COMPLETED)
    key = f"refund-{id}-payment-1"
    body = json.dumps({"type": "payment.refund", "data": {"idempotency_key": key}}).encode()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    }
    status, problem, _ = system.kefu.request("POST", CALLBACKS, body, headers=headers)
    assert (status, problem["code"]) == (401, "callback-refused")
    assert_paid_once(system, id)
