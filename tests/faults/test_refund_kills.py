"""SIGKILL at every step boundary of a refund, for worker, provider and core: one payout."""

import time
from collections.abc import Iterator

import pytest

from domain.saga.state import Status
from tests.faults.refunds import System, assert_nothing_left, assert_paid_once, refund_system
from tests.serving import wait_until

pytestmark = pytest.mark.faults

FORWARD = ("erp.authorise_return", "payment.refund", "erp.post_refund", "conversation.notify")
MOMENTS = ("before", "after", "told")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with refund_system(tmp_path_factory.mktemp("refunds")) as found:
        yield found


@pytest.mark.parametrize("operation", FORWARD)
def test_a_worker_killed_around_a_call_leaves_one_payout(system: System, operation: str) -> None:
    refunds = []
    for moment in MOMENTS:
        order = system.order()
        system.kill("automation") if not refunds else system.wait_dead("automation")
        system.begin("automation", KEFU_TEST_DIE_AT=f"{moment} {operation} {order}")
        refunds.append(system.refund(order))
    system.wait_dead("automation")
    system.begin("automation")
    for id in refunds:
        assert_paid_once(system, id)


def test_a_worker_killed_around_a_compensation_leaves_nothing(system: System) -> None:
    refunds = []
    for moment in MOMENTS:
        order = system.order()
        system.sandbox.faults({"fault": "decline", "operation": "payment.refund", "order": order})
        system.kill("automation") if not refunds else system.wait_dead("automation")
        system.begin("automation", KEFU_TEST_DIE_AT=f"{moment} erp.cancel_return {order}")
        refunds.append(system.refund(order))
    system.wait_dead("automation")
    system.begin("automation")
    for id in refunds:
        assert_nothing_left(system, id)
    system.sandbox.clear_faults()


@pytest.mark.parametrize("operation", [*FORWARD[:3], "erp.cancel_return"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_provider_killed_during_a_call_leaves_one_payout_or_nothing(
    system: System, operation: str, when: str
) -> None:
    order = system.order()
    declined = operation == "erp.cancel_return"
    if declined:
        system.sandbox.faults({"fault": "decline", "operation": "payment.refund", "order": order})
    system.sandbox.faults(
        {"fault": "delay", "operation": operation, "order": order, "when": when, "delay_s": 30}
    )
    id = system.refund(order)

    def under_way() -> bool:
        calls = system.sandbox.calls()["by_key"].items()
        return any(id in key and operation in asked for key, asked in calls)

    wait_until(under_way, 60, f"{operation} is under way")
    system.sandbox.restart()
    if declined:  # what was declined stays so over the restart; the faults do not
        assert_nothing_left(system, id)
    else:
        assert_paid_once(system, id)


BOUNDARIES = (
    "SagaStarted",
    "CallIntended:inventory",
    "CallSucceeded:inventory",
    "CallIntended:payment",
    "CallSucceeded:payment",
    "CallIntended:posting",
    "CallSucceeded:posting",
    "CallIntended:notice",
    "SagaFinished",
)


COMPENSATION = (
    "CallDeclined:payment",
    "CompensationStarted",
    "CallIntended:inventory-1-undo",
    "CallSucceeded:inventory-1-undo",
    "CallIntended:failure_notice",
)


@pytest.mark.parametrize("boundary", [*BOUNDARIES, *COMPENSATION])
def test_a_core_killed_as_an_event_becomes_durable_leaves_one_payout_or_nothing(
    system: System, boundary: str
) -> None:
    name, _, step = boundary.partition(":")
    order = system.order()
    # Slow enough to be caught between two events.
    for operation in (*FORWARD[:3], "erp.cancel_return"):
        system.sandbox.faults({"fault": "delay", "operation": operation, "delay_s": 0.1})
    if boundary in COMPENSATION:
        system.sandbox.faults({"fault": "decline", "operation": "payment.refund", "order": order})
    id = system.refund(order)

    def there() -> bool:
        return any(
            type(event).__name__ == name and f"-{step}" in getattr(event, "key", f"-{step}")
            for event in system.events(f"saga-{id}")
        )

    wait_until(there, 60, boundary)
    system.kill_and_begin("core")
    if boundary in COMPENSATION:
        assert_nothing_left(system, id)
    else:
        assert_paid_once(system, id)
    system.sandbox.clear_faults()


def test_everybody_killed_again_and_again_leaves_one_payout_each(system: System) -> None:
    refunds = [system.refund() for _ in range(30)]
    deadline = time.monotonic() + 90
    turn = 0
    while any(system.saga(id).status is not Status.COMPLETED for id in refunds):
        assert time.monotonic() < deadline
        turn += 1
        if turn > 9:
            break
        for _ in range(3):
            refunds.append(system.refund())
        match turn % 3:
            case 0:
                system.kill_and_begin("core")
            case 1:
                system.kill_and_begin("automation")
            case 2:
                system.sandbox.restart()
    for id in refunds:
        assert_paid_once(system, id)
