"""The timer wheel against a dict that is searched through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.gateway.id_table import IdTable
from interfaces.gateway.timer_wheel import TickClock, TimerWheel

_SLOTS = 16
_operations = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), st.integers(1, 200), st.integers(1, _SLOTS)),
        st.tuples(st.just("cancel"), st.integers(1, 200), st.just(0)),
        st.tuples(st.just("advance"), st.just(0), st.integers(0, 3 * _SLOTS)),
    ),
    max_size=200,
)


@given(_operations)
def test_each_id_runs_out_once_at_its_tick_unless_cancelled_or_set_anew(
    operations: list[tuple[str, int, int]],
) -> None:
    wheel, timers, now = TimerWheel(_SLOTS), dict[int, int](), 0
    for operation, id_, ticks in operations:
        if operation == "schedule":
            wheel.schedule(id_, now + ticks)
            timers[id_] = now + ticks
        elif operation == "cancel":
            wheel.cancel(id_)
            timers.pop(id_, None)
        else:
            now += ticks
            expected = sorted(i for i, at in timers.items() if at <= now)
            assert sorted(wheel.advance(now)) == expected
            timers = {i: at for i, at in timers.items() if at > now}
        assert (id_ in wheel) is (id_ in timers)


@pytest.mark.parametrize("tick", [0, 5, 5 + _SLOTS + 1])
def test_a_tick_that_has_passed_or_is_too_far_ahead_is_refused(tick: int) -> None:
    wheel = TimerWheel(_SLOTS, now=5)
    with pytest.raises(ValueError, match="can't be set"):
        wheel.schedule(1, tick)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 2**32 - 1)), max_size=300),
)
def test_a_table_of_ids_is_a_dict_that_drops_its_empty_pages(
    changes: list[tuple[int, int]],
) -> None:
    table, model = IdTable("I"), dict[int, int]()
    for id_, number in changes:
        if number % 3 == 0:
            assert table.pop(id_) == model.pop(id_, 0)
        else:
            table[id_] = model[id_] = number
        assert table[id_] == model.get(id_, 0)
    for id_ in list(model):
        assert table.pop(id_) == model.pop(id_)
    assert table.pages == {}


def test_time_in_which_nobody_read_the_clock_does_not_pass() -> None:
    clock = TickClock(100.0, 0.5, longest_step_s=2.0)
    assert (clock.advance(100.4), clock.tick) == (False, 0)
    assert (clock.advance(101.0), clock.tick) == (True, 2)
    assert (clock.advance(3600.0), clock.tick) == (True, 6)
    assert (clock.advance(3600.5), clock.tick) == (True, 7)
