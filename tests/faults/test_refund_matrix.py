"""The failure matrix over a real provider: what fails and how it must end (knowledge/sagas.md).

Crashes at step boundaries are in test_refund_kills.py, callbacks in test_refund_callbacks.py.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from application.commands.access import StartVisitorSession
from application.commands.cancellation import CancelOrder
from application.commands.conversation import ChangeStatus
from domain.conversation.conversation import Status as ConversationStatus
from domain.saga.events import OperatorAction, ParkReason
from domain.saga.state import Phase, Saga, Status
from tests.faults.refunds import (
    ALICE,
    BOB,
    System,
    assert_nothing_left,
    assert_paid_once,
    refund_system,
)
from tests.serving import wait_until

pytestmark = pytest.mark.faults
SHORT = {
    "KEFU_REFUND_RESERVATION_S": "2.5",
    "KEFU_REFUND_PAYMENT_S": "4",
    "KEFU_REFUND_POSTING_S": "1",
    "KEFU_REFUND_COMPENSATION_S": "1.5",
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with refund_system(tmp_path_factory.mktemp("matrix"), **SHORT) as found:
        yield found


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "system" in request.fixturenames:
        request.getfixturevalue("system").sandbox.clear_faults()


def fault(system: System, order: str, operation: str, kind: str, **more: Any) -> None:
    system.sandbox.faults({"fault": kind, "operation": operation, "order": order, **more})


def calls(system: System, id: str) -> Counter[str]:
    """Operation -> how often the provider was called for this refund, look-ups included."""
    found = Counter[str]()
    for key, by_operation in system.sandbox.calls()["by_key"].items():
        if id in key:
            found.update(by_operation)
    return found


def test_without_faults_everybody_is_called_once(system: System) -> None:
    id = system.refund()
    assert_paid_once(system, id)
    assert calls(system, id) == {
        "erp.authorise_return": 1,
        "payment.refund": 1,
        "erp.post_refund": 1,
    }


def test_a_payment_declined_for_good_releases_tells_and_fails_the_refund(system: System) -> None:
    order = system.order()
    fault(system, order, "payment.refund", "decline", code="insufficient-balance")
    id = system.refund(order)
    assert_nothing_left(system, id)
    assert system.saga(id).failure == "insufficient-balance"
    assert system.order_state(order).available_minor == 1_000
    assert calls(system, id)["erp.cancel_return"] == 1
    assert "failure_notice" in system.saga(id).done


@pytest.mark.parametrize("kind", ["drop-answer", "hang"])
def test_a_payment_whose_answer_is_lost_is_asked_for_and_settled(system: System, kind: str) -> None:
    order = system.order()
    more: dict[str, Any] = {"done": True} if kind == "hang" else {}
    fault(system, order, "payment.refund", kind, times=1, **more)
    id = system.refund(order)
    assert_paid_once(system, id)
    assert "OutcomeUnknown" in system.names(id)
    assert calls(system, id)["payment.refund"] == 1
    assert calls(system, id)["payment.look_up"] >= 1


def test_a_payment_that_never_arrived_is_asked_for_and_then_sent_with_the_same_key(
    system: System,
) -> None:
    order = system.order()
    fault(system, order, "payment.refund", "drop-request", times=1)
    id = system.refund(order)
    assert_paid_once(system, id)
    assert calls(system, id)["payment.refund"] == 2
    assert calls(system, id)["payment.look_up"] >= 1


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "status", "status": 500, "done": True},
        {"kind": "status", "status": 502},
        {"kind": "status", "status": 503, "retry_after": "1"},
        {"kind": "status", "status": 429, "retry_after": "1"},
        {"kind": "in-flight"},
    ],
    ids=lambda more: f"{more['kind']}-{more.get('status', 409)}",
)
def test_a_provider_in_trouble_is_tried_again_and_pays_once(
    system: System, more: dict[str, Any]
) -> None:
    order = system.order()
    kind = more["kind"]
    rest = {name: value for name, value in more.items() if name != "kind"}
    fault(system, order, "payment.refund", kind, times=2, **rest)
    assert_paid_once(system, system.refund(order))


def test_a_payment_that_stays_unknown_is_parked_and_goes_on_when_a_person_says_so(
    system: System,
) -> None:
    order = system.order()
    fault(system, order, "payment.refund", "hang", done=True)
    fault(system, "", "payment.look_up", "status", status=500)
    id = system.refund(order)
    saga = system.wait_for(id, Status.PARKED)
    assert saga.parked is not None
    assert saga.parked.reason is ParkReason.OUTCOME_UNKNOWN
    assert not saga.compensating
    assert system.order_state(order).reserved == {id: 400}
    system.sandbox.clear_faults()
    system.operate(id, OperatorAction.RETRY)
    assert_paid_once(system, id)


def test_a_person_may_settle_what_the_provider_can_not_tell(system: System) -> None:
    order = system.order()
    fault(system, order, "payment.refund", "hang", done=True)
    fault(system, "", "payment.look_up", "status", status=500)
    id = system.refund(order)
    system.wait_for(id, Status.PARKED)
    system.operate(id, OperatorAction.MARK_SETTLED, "bank statement 7")
    assert_paid_once(system, id)
    assert "bank statement 7" in {call.reference for call in system.saga(id).calls.values()}


def test_an_erp_that_is_down_before_the_payment_ends_the_refund_without_one(
    system: System,
) -> None:
    order = system.order()
    fault(system, order, "erp.authorise_return", "status", status=503, retry_after="0")
    id = system.refund(order)
    assert_nothing_left(system, id)
    assert calls(system, id)["erp.authorise_return"] > 2
    assert calls(system, id)["payment.refund"] == 0
    assert system.order_state(order).available_minor == 1_000


def test_an_erp_that_is_down_after_the_payment_is_tried_for_ever_and_the_money_stays(
    system: System,
) -> None:
    order = system.order()
    fault(system, order, "erp.post_refund", "status", status=500)
    id = system.refund(order)
    system.wait(id, lambda saga: saga.overdue, "overdue")
    assert system.payouts(id)["settled"] == 1
    assert not system.saga(id).compensating
    assert system.last_of(id) == "settled"
    system.sandbox.clear_faults()
    assert_paid_once(system, id)


def test_a_posting_that_is_refused_for_good_waits_for_a_person_who_may_skip_it(
    system: System,
) -> None:
    order = system.order()
    fault(system, order, "erp.post_refund", "decline", code="period-closed")
    id = system.refund(order)
    saga = system.wait_for(id, Status.PARKED)
    assert saga.parked is not None
    assert saga.parked.reason is ParkReason.DECLINED
    assert system.payouts(id)["settled"] == 1
    system.operate(id, OperatorAction.SKIP)
    assert system.wait_for(id, Status.COMPLETED).given_up == ("posting",)


def test_a_compensation_that_fails_is_parked_and_never_silently_done(system: System) -> None:
    order = system.order()
    fault(system, order, "payment.refund", "decline")
    fault(system, order, "erp.cancel_return", "status", status=500)
    id = system.refund(order)
    saga = system.wait_for(id, Status.PARKED)
    assert saga.parked is not None
    assert saga.parked.reason is ParkReason.COMPENSATION_FAILED
    assert system.order_state(order).reserved == {id: 400}
    system.sandbox.clear_faults()
    system.operate(id, OperatorAction.RETRY)
    assert_nothing_left(system, id)


def test_null_compensation_and_hanging_action(system: System) -> None:
    """DTM's anomalies: the compensation comes before its action, which arrives late and is
    refused; and a duplicate changes nothing.
    """
    order = system.order()
    fault(system, order, "erp.authorise_return", "delay", delay_s=5, when="before")
    id = system.refund(order)
    system.wait(id, lambda saga: "inventory-1-undo" in str(saga.calls), "compensated")
    key = f"refund-{id}-inventory-1"

    def state() -> str:
        found = [one for one in system.sandbox.ledger()["returns"] if one["action_key"] == key]
        return str(found[0]["state"]) if found else ""

    assert state() == "null"
    system.wait_for(id, Status.COMPENSATED)
    system.sandbox.clear_faults()
    bodies = {
        event.key: event.body.encode()
        for event in system.events(f"saga-{id}")
        if type(event).__name__ == "CallIntended"
    }

    def late() -> str:
        status, answer, _ = system.sandbox.request("POST", "/erp/returns", bodies[key], key, 30)
        assert status == 409
        return str(answer["code"])

    wait_until(lambda: late() == "already-compensated", 30, "those on their way are refused")
    undo = f"{key}-undo"
    again = system.sandbox.request("POST", "/erp/returns/cancel", bodies[undo], undo, 30)
    assert (again[0], again[1]["status"]) == (200, "succeeded")
    assert state() == "null"
    assert_nothing_left(system, id)


def test_of_two_refunds_at_once_that_exceed_the_order_the_second_is_rejected(
    system: System,
) -> None:
    order = system.order(total=1_000)
    ids = [system.request(order, 600), system.request(order, 600)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(system.approve, ids))
    assert Counter(answer["status"] for answer in answers) == {"approved": 1, "rejected": 1}
    for id, answer in zip(ids, answers, strict=True):
        if answer["status"] == "approved":
            assert_paid_once(system, id)
        else:
            assert system.last_of(id) == "rejected"
            assert system.payouts(id) == {}
    assert system.order_state(order).available_minor == 400


def test_a_notice_that_can_not_be_given_leaves_the_refund_completed_with_a_flag(
    system: System,
) -> None:
    order = system.order()
    before, system.conversation_id = system.conversation_id, "resolved-conversation"
    session = StartVisitorSession("token-2", 2**62, "contact-2", system.conversation_id)
    try:
        system.execute(session)
        id = system.request(order)
        resolved = ChangeStatus(system.conversation_id, ConversationStatus.RESOLVED)
        system.execute(resolved, ALICE)
        system.approve(id)
    finally:
        system.conversation_id = before
    saga = system.wait_for(id, Status.COMPLETED)
    assert saga.given_up == ("notice",)
    assert system.payouts(id)["settled"] == 1


def test_an_order_is_cancelled_by_a_saga_of_the_same_kit(system: System) -> None:
    done, refused = system.order(), system.order()
    fault(system, refused, "payment.void", "decline", code="captured")
    ids = {}
    for number, order in enumerate((done, refused)):
        id = ids[order] = f"01890a5d-ac96-774b-bcce-b302099a805{number}"
        system.execute(CancelOrder(id, order, system.conversation_id), BOB)
    system.wait_for(ids[done], Status.COMPLETED)
    system.wait_for(ids[refused], Status.COMPENSATED)
    assert system.order_state(done).cancelled
    assert not system.order_state(refused).cancelled
    states = {one["order_reference"]: one["state"] for one in system.sandbox.ledger()["shipments"]}
    assert states == {done: "done", refused: "undone"}
    assert_paid_once(system, system.refund(refused))


def test_reading_the_log_again_calls_nobody(system: System) -> None:
    ids = [system.refund() for _ in range(5)]
    for id in ids:
        assert_paid_once(system, id)
    before = system.sandbox.calls()["total"]
    system.kill("automation")
    system.kill("core")
    (system.kefu.data_dir / "sagas" / "open.json").unlink(missing_ok=True)
    for path in (system.kefu.data_dir / "log").glob("*index*"):
        if path.is_file():
            path.unlink()
    system.begin("core")
    system.begin("automation")
    last = system.refund()  # the worker has read everything that was before this one
    assert_paid_once(system, last)
    assert system.sandbox.calls()["total"] == before + calls(system, last).total()


def test_a_saga_goes_on_with_the_definition_that_it_began_with(tmp_path: Path) -> None:
    with refund_system(tmp_path) as system:
        order = system.order()
        fault(system, order, "payment.refund", "status", status=503, retry_after="0")
        old = system.refund(order)
        system.wait(old, lambda saga: "inventory" in saga.done, "at the payment")
        system.kill("core")
        system.begin("core", KEFU_TEST_NEWER_REFUND="1")
        new = system.refund()
        assert_paid_once(system, new)
        assert (system.saga(new).definition_version, "notice" in system.saga(new).done) == (
            2,
            False,
        )
        system.sandbox.clear_faults()
        assert_paid_once(system, old)
        assert (system.saga(old).definition_version, "notice" in system.saga(old).done) == (1, True)


def test_an_older_kefu_leaves_a_newer_saga_alone_until_the_newer_one_is_back(
    tmp_path: Path,
) -> None:
    with refund_system(tmp_path) as system:
        system.kill("core")
        system.begin("core", KEFU_TEST_NEWER_REFUND="1")
        order = system.order()
        fault(system, order, "payment.refund", "delay", delay_s=0.8, when="after")
        id = system.refund(order)
        system.wait(id, lambda saga: "inventory" in saga.done, "at the payment")
        system.kill_and_begin("core")  # a downgrade
        wait_until(lambda: system.payouts(id).get("settled") == 1, 30, "paid")
        assert_paid_once(system, system.refund())
        assert "payment" not in system.saga(id).done
        system.kill("core")
        system.begin("core", KEFU_TEST_NEWER_REFUND="1")
        assert_paid_once(system, id)


def set_clock(file: Path, seconds: str) -> None:
    """At once: who reads it meanwhile finds the old or the new time."""
    new = file.with_suffix(".new")
    new.write_text(seconds)
    new.replace(file)


def test_clocks_that_jump_fire_every_timer_once(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    set_clock(clock, "0")
    with refund_system(tmp_path, KEFU_TEST_CLOCK_FILE=str(clock)) as system:
        order = system.order()
        fault(system, order, "payment.refund", "status", status=503, retry_after="0")
        id = system.refund(order)
        system.wait(id, lambda saga: "CallNotExecuted" in system.names(id), "tried")
        set_clock(clock, "-86400")  # nothing fires: nothing is due for a day

        def waits(saga: Saga) -> bool:
            return saga.pending is not None and saga.pending.phase is Phase.WAITING

        system.wait(id, waits, "waiting")
        set_clock(clock, "200000")  # more than two days: the deadline is over
        saga = system.wait_for(id, Status.PARKED)
        assert saga.parked is not None
        assert saga.parked.reason is ParkReason.UNAVAILABLE
        set_clock(clock, "0")
        system.sandbox.clear_faults()
        system.operate(id, OperatorAction.RETRY)
        assert_paid_once(system, id)
        fired = Counter(
            event.timer_id
            for event in system.events(f"saga-{id}")
            if type(event).__name__ == "TimerFired"
        )
        assert fired
        assert set(fired.values()) == {1}
