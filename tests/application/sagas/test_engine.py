"""Rules of the engine, given/when/then: the failure matrix without processes."""

from functools import reduce
from typing import Any

import pytest

from application.sagas import engine, operator, refund
from application.sagas.definition import Definition, Step, StepKind
from application.sagas.outcome import CallOutcome, OutcomeKind
from domain.errors import InvalidInput, SagaActionRefused, SagaNotParked
from domain.saga.events import OperatorAction, ParkReason, SagaOutcome
from domain.saga.saga import evolve
from domain.saga.state import Phase, Saga, Status

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
DATA = {
    "refund_id": ID,
    "order_reference": "A-1",
    "amount_minor": 1230,
    "currency": "CNY",
    "conversation_id": "c-1",
    "lines": "[]",
}
DAY_US = 86_400_000_000

DONE = CallOutcome(OutcomeKind.SUCCEEDED, "ref-1")
TAKEN = CallOutcome(OutcomeKind.ACCEPTED, "ref-1")
NO = CallOutcome(OutcomeKind.DECLINED, code="insufficient-balance")
NOT_DONE = CallOutcome(OutcomeKind.NOT_EXECUTED, code="connection-refused")
UNKNOWN = CallOutcome(OutcomeKind.UNKNOWN, code="time-out")
NOT_FOUND = CallOutcome(OutcomeKind.NOT_FOUND)


class Process:
    """A refund's saga, told things."""

    def __init__(self, definition: Definition | None = None) -> None:
        self.definition = definition or refund.definition_v1()
        self.now_us = 1_700_000_000_000_000
        self.state = Saga(ID)
        self.told(engine.start(self.definition, self.state, DATA, "c-1", self.now_us))

    def told(self, events: tuple[Any, ...]) -> list[str]:
        self.state = reduce(evolve, events, self.state)
        return [type(event).__name__ for event in events]

    def answer(self, outcome: CallOutcome, attempt: int | None = -1, key: str = "") -> list[str]:
        pending = self.state.pending
        if pending is not None and attempt == -1:
            attempt = 0 if pending.phase is Phase.ASKING else pending.attempts + 1
        key = key or (pending.key if pending else "")
        return self.told(
            engine.record(self.definition, self.state, key, attempt, outcome, self.now_us)
        )

    def callback(self, outcome: CallOutcome, key: str = "") -> list[str]:
        return self.answer(outcome, None, key)

    def wait(self) -> list[str]:
        """Until the timer that is set."""
        timer = self.state.timer
        assert timer is not None
        self.now_us = max(self.now_us, timer.at_us)
        return self.told(engine.fire(self.definition, self.state, timer.id, self.now_us))

    def person(self, action: OperatorAction, reference: str | None = None) -> list[str]:
        return self.told(
            operator.operate(
                self.definition, self.state, action, "looked into it", reference, self.now_us
            )
        )

    @property
    def at(self) -> str:
        assert self.state.pending is not None
        return f"{self.state.pending.operation} {self.state.pending.phase}"


def at_payment() -> Process:
    process = Process()
    process.answer(DONE)
    return process


def at_posting() -> Process:
    process = at_payment()
    process.answer(DONE)
    return process


def completed() -> Process:
    process = at_posting()
    process.answer(DONE)
    process.answer(DONE)
    assert process.state.status is Status.COMPLETED
    return process


def key_of(step: str, group: int = 1) -> str:
    return f"refund-{ID}-{step}-{group}"


def test_a_refund_reserves_pays_posts_and_tells() -> None:
    process = Process()
    seen = []
    while process.state.pending is not None:
        seen.append(process.state.pending.operation)
        process.answer(DONE)
    assert seen == [
        "erp.authorise_return",
        "payment.refund",
        "erp.post_refund",
        "conversation.notify",
    ]
    assert process.state.outcome is SagaOutcome.COMPLETED


def test_a_saga_that_has_begun_begins_no_second_time() -> None:
    process = Process()
    assert engine.start(process.definition, process.state, DATA, "c-1", process.now_us) == ()


def test_an_attempt_that_did_nothing_is_made_again_with_the_same_key_and_body() -> None:
    process = at_payment()
    before = process.state.pending
    assert before is not None
    assert process.answer(NOT_DONE) == ["CallNotExecuted"]
    assert process.wait() == ["TimerFired"]
    after = process.state.pending
    assert after is not None
    assert (after.key, after.body, after.phase) == (before.key, before.body, Phase.READY)


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    process = at_payment()
    pauses = []
    for _ in range(14):
        process.answer(NOT_DONE)
        timer = process.state.timer
        assert timer is not None
        pauses.append((timer.at_us - process.now_us) / 1e6)
        process.wait()
    longest = [min(300.0, 0.5 * 2**n) for n in range(14)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))


def test_a_provider_that_says_when_to_come_back_is_left_alone_so_long() -> None:
    process = at_payment()
    busy = CallOutcome(OutcomeKind.NOT_EXECUTED, code="busy", retry_after_s=90.0)
    process.answer(busy)
    timer = process.state.timer
    assert timer is not None
    assert timer.at_us >= process.now_us + 90_000_000


def test_a_timeout_is_unknown_and_is_asked_for_by_key_before_anything_else() -> None:
    process = at_payment()
    process.answer(UNKNOWN)
    assert process.state.status is Status.UNKNOWN
    process.wait()
    assert process.at == "payment.refund asking"
    process.answer(DONE)
    assert process.at == "erp.post_refund ready"


def test_what_the_provider_does_not_know_is_sent_again_with_the_same_key() -> None:
    process = at_payment()
    process.answer(UNKNOWN)
    process.wait()
    assert process.answer(NOT_FOUND) == ["CallNotExecuted"]
    process.wait()
    assert process.at == "payment.refund ready"
    assert process.state.pending is not None
    assert process.state.pending.key == key_of("payment")
    assert process.state.status is Status.UNKNOWN  # the first one may still arrive


def test_a_payment_that_stays_unknown_is_parked_and_never_compensated() -> None:
    process = at_payment()
    process.answer(UNKNOWN)
    while process.state.parked is None:
        process.wait()
        if process.state.parked is None:
            process.answer(UNKNOWN)
    assert process.state.parked.reason is ParkReason.OUTCOME_UNKNOWN
    assert process.state.timer is None
    with pytest.raises(SagaActionRefused):
        process.person(OperatorAction.FORCE_COMPENSATE)
    with pytest.raises(SagaActionRefused):
        process.person(OperatorAction.SKIP)


def test_a_parked_unknown_payment_goes_on_when_its_callback_comes_after_all() -> None:
    process = at_payment()
    process.answer(UNKNOWN)
    process.now_us += 2 * DAY_US
    process.wait()
    assert process.state.status is Status.PARKED
    process.callback(DONE)
    assert process.at == "erp.post_refund ready"
    assert process.state.parked is None


def test_retry_of_an_unknown_payment_asks_first_and_keeps_its_key() -> None:
    process = at_payment()
    process.now_us += 2 * DAY_US
    process.wait()  # the call was under way when its deadline came
    assert process.person(OperatorAction.RETRY) == ["OperatorActed", "CallIntended"]
    assert process.at == "payment.refund asking"
    assert process.state.pending is not None
    assert process.state.pending.key == key_of("payment")


def test_a_payment_declined_for_good_releases_the_inventory_and_tells_the_customer() -> None:
    process = at_payment()
    process.answer(NO)
    assert process.at == "erp.cancel_return ready"
    process.answer(DONE)
    assert process.at == "conversation.notify ready"
    process.answer(DONE)
    assert process.state.status is Status.COMPENSATED
    assert process.state.failure == "insufficient-balance"


def test_the_compensation_names_the_call_that_it_undoes() -> None:
    process = at_payment()
    process.answer(NO)
    assert process.state.pending is not None
    assert f'"action_key":"{key_of("inventory")}"' in process.state.pending.body
    assert process.state.pending.key == key_of("inventory") + "-undo"


def test_an_erp_that_is_down_before_the_pivot_is_tried_and_then_the_refund_is_given_up() -> None:
    process = Process()
    while process.state.pending is not None and process.at == "erp.authorise_return ready":
        process.answer(NOT_DONE)
        process.wait()
    # It never did anything, so there is nothing to undo.
    assert process.at == "conversation.notify ready"
    assert process.state.compensating


def test_a_reservation_that_may_have_been_made_is_undone_also_if_it_never_arrived() -> None:
    process = Process()
    process.answer(UNKNOWN)
    process.now_us += DAY_US
    process.wait()
    assert process.at == "erp.cancel_return ready"


def test_a_provider_that_is_down_before_the_payment_parks_it_for_a_person() -> None:
    process = at_payment()
    while process.state.parked is None:
        process.answer(NOT_DONE)
        process.wait()
    assert process.state.parked.reason is ParkReason.UNAVAILABLE
    process.person(OperatorAction.FORCE_COMPENSATE)
    assert process.at == "erp.cancel_return ready"


def test_an_erp_that_is_down_after_the_pivot_is_tried_for_ever_and_counts_as_overdue() -> None:
    process = at_posting()
    for _ in range(2_000):
        if process.state.pending and process.state.pending.phase is Phase.READY:
            process.answer(NOT_DONE)
        process.wait()
    assert process.state.overdue
    assert process.state.parked is None
    assert "payment" in process.state.done
    while process.at != "erp.post_refund ready":
        process.wait()
    process.answer(DONE)
    assert process.at == "conversation.notify ready"
    assert not process.state.overdue


def test_a_posting_that_is_refused_for_good_parks_and_the_money_stays_paid() -> None:
    process = at_posting()
    process.answer(NO)
    assert process.state.parked is not None
    assert process.state.parked.reason is ParkReason.DECLINED
    assert process.state.parked.next_actions == (OperatorAction.RETRY, OperatorAction.SKIP)
    process.person(OperatorAction.SKIP)
    assert process.at == "conversation.notify ready"
    process.answer(DONE)
    assert process.state.given_up == ("posting",)


def test_a_retry_after_a_definite_no_is_a_new_attempt_group_with_a_new_key() -> None:
    process = at_posting()
    process.answer(NO)
    process.person(OperatorAction.RETRY)
    assert process.state.pending is not None
    assert process.state.pending.key == key_of("posting", 2)
    assert process.at == "erp.post_refund ready"


def test_a_notice_that_fails_leaves_the_saga_completed_with_a_flag() -> None:
    process = at_posting()
    process.answer(DONE)
    process.answer(NO)
    assert process.state.status is Status.COMPLETED
    assert process.state.given_up == ("notice",)


def test_a_compensation_that_fails_parks_and_is_never_silently_compensated() -> None:
    process = at_payment()
    process.answer(NO)
    process.answer(NO)
    assert process.state.status is Status.PARKED
    assert process.state.parked is not None
    assert process.state.parked.reason is ParkReason.COMPENSATION_FAILED
    process.person(OperatorAction.RETRY)
    process.answer(DONE)
    process.answer(DONE)
    assert process.state.status is Status.COMPENSATED


def test_a_payment_that_was_taken_settles_by_its_callback_or_when_it_is_asked() -> None:
    for by_callback in (True, False):
        process = at_payment()
        process.answer(TAKEN)
        assert process.state.status is Status.SETTLING
        if by_callback:
            process.callback(DONE)
        else:
            process.wait()
            process.answer(TAKEN)
            process.wait()
            process.answer(DONE)
        assert process.at == "erp.post_refund ready"


def test_a_settlement_that_never_comes_is_parked() -> None:
    process = at_payment()
    process.answer(TAKEN)
    process.now_us += 8 * DAY_US
    process.wait()
    assert process.state.parked is not None
    assert process.state.parked.reason is ParkReason.SETTLEMENT_OVERDUE


@pytest.mark.parametrize("outcome", [DONE, TAKEN, UNKNOWN, NOT_DONE, NOT_FOUND])
def test_a_repeated_or_late_answer_changes_nothing(outcome: CallOutcome) -> None:
    process = at_posting()
    before = process.state
    assert process.callback(outcome, key_of("payment")) == []
    assert process.answer(outcome, 1, key_of("inventory")) == []
    assert process.callback(outcome, key_of("unheard_of")) == []
    assert process.state == before


def test_a_payment_that_fails_after_it_was_reported_parks_as_reversed_even_at_the_end() -> None:
    for process in (at_posting(), completed()):
        process.callback(NO, key_of("payment"))
        assert process.state.parked is not None
        assert process.state.parked.reason is ParkReason.REVERSED
        assert "payment" not in process.state.done
        assert process.callback(NO, key_of("payment")) == []  # the same news again
        assert process.callback(DONE, key_of("payment")) == []  # and older news


def test_a_reversed_payment_is_paid_again_only_by_a_person_and_with_a_new_key() -> None:
    process = completed()
    process.callback(NO, key_of("payment"))
    process.person(OperatorAction.RETRY)
    assert process.state.pending is not None
    assert process.state.pending.key == key_of("payment", 2)
    process.answer(DONE)
    assert process.state.status is Status.COMPLETED  # posted and told already


def test_a_reversed_payment_that_is_given_up_undoes_what_had_followed_it() -> None:
    process = completed()
    process.callback(NO, key_of("payment"))
    process.person(OperatorAction.FORCE_COMPENSATE)
    undone = []
    while process.state.pending is not None:
        undone.append(process.state.pending.operation)
        process.answer(DONE)
    assert undone == ["erp.reverse_posting", "erp.cancel_return", "conversation.notify"]
    assert process.state.status is Status.COMPENSATED


def test_news_that_were_overtaken_by_later_ones_change_nothing() -> None:
    process = at_payment()
    process.callback(CallOutcome(OutcomeKind.DECLINED, code="closed", at_us=20))
    settled_before = CallOutcome(OutcomeKind.SUCCEEDED, "ref-1", at_us=10)
    assert process.callback(settled_before, key_of("payment")) == []


def test_a_refused_payment_that_is_reported_as_paid_waits_for_a_person() -> None:
    process = at_payment()
    process.answer(NO)
    process.callback(DONE, key_of("payment"))
    assert process.state.parked is not None
    assert process.state.parked.reason is ParkReason.CONTRADICTED
    process.person(OperatorAction.MARK_SETTLED, "ref-1")
    assert not process.state.compensating
    process.answer(DONE)  # the compensation that was under way
    assert process.at == "erp.post_refund ready"


def test_a_person_may_say_that_a_contradiction_is_none() -> None:
    process = at_payment()
    process.answer(NO)
    process.callback(DONE, key_of("payment"))
    process.person(OperatorAction.SKIP)
    assert process.at == "erp.cancel_return ready"


def test_a_late_reservation_after_its_compensation_changes_nothing() -> None:
    process = Process()
    process.answer(UNKNOWN)
    process.now_us += DAY_US
    process.wait()
    assert process.answer(DONE, 1, key_of("inventory")) == []
    assert process.at == "erp.cancel_return ready"


def test_a_timer_fires_once_and_not_before_its_time() -> None:
    process = at_payment()
    process.answer(NOT_DONE)
    timer = process.state.timer
    assert timer is not None
    early = engine.fire(process.definition, process.state, timer.id, timer.at_us - 1)
    assert early == ()
    assert process.wait() == ["TimerFired"]
    assert engine.fire(process.definition, process.state, timer.id, process.now_us + DAY_US) == ()


def test_a_clock_that_goes_back_fires_nothing_and_loses_nothing() -> None:
    process = at_payment()
    process.answer(NOT_DONE)
    process.now_us -= 30 * DAY_US
    timer = process.state.timer
    assert timer is not None
    assert engine.fire(process.definition, process.state, timer.id, process.now_us) == ()
    assert process.wait() == ["TimerFired"]


def test_mark_settled_needs_a_reference_and_every_action_a_reason_and_a_parked_saga() -> None:
    process = at_payment()
    with pytest.raises(SagaNotParked):
        process.person(OperatorAction.RETRY)
    process.now_us += 2 * DAY_US
    process.wait()
    with pytest.raises(InvalidInput):
        process.person(OperatorAction.MARK_SETTLED)
    with pytest.raises(InvalidInput):
        operator.operate(
            process.definition, process.state, OperatorAction.RETRY, " ", None, process.now_us
        )
    process.person(OperatorAction.MARK_SETTLED, "bank-7")
    assert process.state.calls[key_of("payment")].reference == "bank-7"
    assert process.at == "erp.post_refund ready"


def test_a_definition_with_its_steps_in_the_wrong_order_is_refused() -> None:
    pivot = Step("pay", "payment.refund", StepKind.PIVOT, lambda data: {})
    reserve = Step("hold", "erp.hold", StepKind.COMPENSATABLE, lambda data: {}, undo="erp.let_go")
    with pytest.raises(ValueError, match="pivot"):
        Definition("wrong", 1, (pivot, reserve))
    with pytest.raises(ValueError, match="names"):
        Definition("wrong", 1, (reserve, reserve))
