"""A participant that fails again and again is left alone for a while."""

import asyncio

import pytest

from application.sagas.breaker import Breaker, BreakerState
from application.sagas.outcome import OutcomeKind


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def breaker(seconds: Seconds) -> Breaker:
    return Breaker(threshold=3, first_pause_s=1.0, longest_pause_s=4.0, monotonic=seconds)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.record(OutcomeKind.UNKNOWN)


async def admitted(breaker: Breaker) -> bool:
    """Whether a call may be made at this moment."""
    try:
        await asyncio.wait_for(breaker.admitted(), 0.02)
    except TimeoutError:
        return False
    return True


async def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert await admitted(breaker)
    fail(breaker)
    assert breaker.state is BreakerState.OPEN
    assert not await admitted(breaker)
    assert breaker.opened == 1


async def test_a_success_between_them_keeps_it_closed(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.record(OutcomeKind.SUCCEEDED)
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED


async def test_a_refusal_is_an_answer_and_no_failure(breaker: Breaker) -> None:
    for _ in range(10):
        breaker.record(OutcomeKind.DECLINED)
        breaker.record(OutcomeKind.NOT_FOUND)
    assert breaker.state is BreakerState.CLOSED


async def test_after_a_pause_one_call_is_let_through_and_decides(
    breaker: Breaker, seconds: Seconds
) -> None:
    fail(breaker, 3)
    seconds.now += 1.1
    assert await admitted(breaker)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not await admitted(breaker)
    breaker.record(OutcomeKind.SUCCEEDED)
    assert breaker.state is BreakerState.CLOSED


async def test_a_probe_that_fails_doubles_the_pause_up_to_the_longest(
    breaker: Breaker, seconds: Seconds
) -> None:
    fail(breaker, 3)
    for pause in (1.0, 2.0, 4.0, 4.0):
        seconds.now += pause - 0.1
        assert not await admitted(breaker)
        seconds.now += 0.2
        assert await admitted(breaker)
        fail(breaker)


async def test_a_call_that_is_not_made_after_all_leaves_the_probe_to_another(
    breaker: Breaker, seconds: Seconds
) -> None:
    fail(breaker, 3)
    seconds.now += 1.1
    assert await admitted(breaker)
    breaker.release()
    assert await admitted(breaker)


async def test_answers_of_before_it_opened_do_not_lengthen_the_pause(
    breaker: Breaker, seconds: Seconds
) -> None:
    fail(breaker, 60)
    seconds.now += 1.1
    assert await admitted(breaker)
