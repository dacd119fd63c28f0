"""Callbacks of payments that are settled later: signed, retried until taken, faulty on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from application.sagas.outcome import OutcomeKind
from tests.infrastructure.sandbox.conftest import refund
from tests.infrastructure.sandbox.receiver import SECRET, WAIT_S, Receiver, listening
from tests.sandbox import Sandbox, running
from tests.serving import wait_until

SUCCEEDED, DECLINED = OutcomeKind.SUCCEEDED, OutcomeKind.DECLINED


def _options(receiver: Receiver, tmp_path: Path, settle: str) -> tuple[str, ...]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    return (
        *("--settle", settle, "--settle-after-s", "0.1"),
        *("--callback-url", receiver.url, "--callback-secret-file", str(secret)),
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def later(receiver: Receiver, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that settles later."""
    with running(tmp_path / "data", *_options(receiver, tmp_path, "async")) as sandbox:
        yield sandbox


def _pay(sandbox: Sandbox, key: str) -> tuple[int, str]:
    status, answer, _ = sandbox.request("POST", "/payment/refunds", refund(), key)
    return status, answer["status"]


def _state(sandbox: Sandbox, key: str) -> str:
    (payout,) = [row for row in sandbox.ledger()["payouts"] if row["key"] == key]
    return str(payout["state"])


def test_a_payment_is_pending_then_settled_and_called_back(
    later: Sandbox, receiver: Receiver
) -> None:
    assert _pay(later, "a") == (202, "pending")
    (callback,) = receiver.wait_for("a", 1)
    assert (callback.operation, callback.outcome.kind) == ("payment.refund", SUCCEEDED)
    found = later.request("GET", "/payment/operations/a")[1]
    assert (found["status"], found["at_us"]) == ("succeeded", callback.outcome.at_us)
    assert _state(later, "a") == "settled"
    wait_until(lambda: later.callbacks() == {"waiting": 0, "delivered": 1}, WAIT_S, "it is taken")


def test_the_faults_of_callbacks(later: Sandbox, receiver: Receiver) -> None:
    later.faults(
        {"fault": "decline", "code": "closed", "operation": "payment.refund", "times": 1},
    )
    assert _pay(later, "declined") == (202, "pending")
    (declined,) = receiver.wait_for("declined", 1)
    assert (declined.outcome.kind, declined.outcome.code) == (DECLINED, "closed")
    assert _state(later, "declined") == "failed"

    later.clear_faults()
    later.faults({"fault": "duplicate-callback", "copies": 3, "times": 1})
    _pay(later, "twice")
    first, *others = receiver.wait_for("twice", 3)
    assert others == [first, first]

    later.clear_faults()
    later.faults({"fault": "late-failure", "code": "gone", "after_s": 0.2, "times": 1})
    _pay(later, "late")
    success, failure = receiver.wait_for("late", 2)
    assert (success.outcome.kind, failure.outcome.kind) == (SUCCEEDED, DECLINED)
    assert (failure.outcome.code, _state(later, "late")) == ("gone", "reversed")
    assert success.id != failure.id
    assert (success.outcome.at_us or 0) < (failure.outcome.at_us or 0)

    later.clear_faults()
    later.faults(
        {"fault": "late-failure", "after_s": 0.1, "times": 1},
        {"fault": "reorder-callbacks", "hold_s": 3, "times": 1},
    )
    _pay(later, "reordered")
    failure, success = receiver.wait_for("reordered", 2)
    assert (failure.outcome.kind, success.outcome.kind) == (DECLINED, SUCCEEDED)
    assert (success.outcome.at_us or 0) < (failure.outcome.at_us or 0)

    later.clear_faults()
    later.faults({"fault": "no-callback", "times": 1})
    _pay(later, "silent")
    wait_until(lambda: _state(later, "silent") == "settled", WAIT_S, "it is settled")
    _pay(later, "loud")
    receiver.wait_for("loud", 1)
    assert receiver.of("silent") == []


def test_a_callback_that_is_not_taken_comes_again_with_its_id(
    later: Sandbox, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 410, 503]
    _pay(later, "retried")
    assert len(receiver.wait_for("retried", 1)) == 1
    assert receiver.statuses == []


@pytest.mark.faults
def test_callbacks_and_settlements_survive_a_kill(tmp_path: Path) -> None:
    receiver = Receiver()
    # Nobody listens there yet.
    with running(tmp_path / "data", *_options(receiver, tmp_path, "async")) as sandbox:
        keys = [f"kill-{number}" for number in range(20)]
        for key in keys:
            assert _pay(sandbox, key) == (202, "pending")
        sandbox.kill()
        sandbox.restart()
        wait_until(lambda: sandbox.callbacks()["waiting"] == 20, WAIT_S, "all are settled")
        sandbox.kill()
        with listening(receiver):
            sandbox.restart()
            for key in keys:
                assert receiver.wait_for(key, 1)[0].outcome.kind is SUCCEEDED
        assert {_state(sandbox, key) for key in keys} == {"settled"}


def test_payments_that_are_settled_at_once_call_back_only_if_they_fail_late(
    receiver: Receiver, tmp_path: Path
) -> None:
    with running(tmp_path / "data", *_options(receiver, tmp_path, "sync")) as sandbox:
        assert _pay(sandbox, "good") == (200, "succeeded")
        sandbox.faults({"fault": "late-failure", "after_s": 0.1, "times": 1})
        assert _pay(sandbox, "late") == (200, "succeeded")
        (callback,) = receiver.wait_for("late", 1)
        assert callback.outcome.kind is DECLINED
        assert receiver.of("good") == []
