"""Token buckets: a rate over time, a burst at once, and no more memory than keys in use."""

from hypothesis import given
from hypothesis import strategies as st

from interfaces.token_buckets import TokenBuckets

_S = 1e6


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=60),
)
def test_no_more_is_taken_than_the_burst_and_the_rate_allow_in_any_window(
    per_s: float, burst: int, calls: list[tuple[float, int]]
) -> None:
    buckets = TokenBuckets(per_s, burst)
    now, taken = 0.0, []
    for pause, count in calls:
        now += pause * _S
        if buckets.take("a", now, count) == 0.0:
            taken.append((now, min(count, burst)))
    for first, (begin, _) in enumerate(taken):
        for last in range(first, len(taken)):
            window_s = (taken[last][0] - begin) / _S
            total = sum(count for _, count in taken[first : last + 1])
            assert total <= burst + per_s * window_s + 0.1 + per_s * len(taken) / _S


@given(st.floats(0.1, 1000), st.integers(1, 20), st.integers(1, 5))
def test_whoever_waits_as_long_as_told_is_served(per_s: float, burst: int, count: int) -> None:
    buckets = TokenBuckets(per_s, burst)
    now = 5 * _S
    while (wait_s := buckets.take("a", now, count)) == 0.0:
        pass
    assert buckets.take("a", now + wait_s * _S + 1, count) == 0.0


def test_keys_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets(1, 1)
    assert [buckets.take(key, 0, 1) for key in ("a", "b")] == [0.0, 0.0]
    assert buckets.take("a", 0) == 1.0


def test_more_than_the_burst_at_once_counts_as_the_burst_and_is_not_refused_for_ever() -> None:
    buckets = TokenBuckets(1, 3)
    assert buckets.take("a", 0, 100) == 0.0
    assert buckets.take("a", 0, 1) == 1.0


def test_a_clock_that_goes_back_by_a_day_does_not_shut_anybody_out() -> None:
    buckets = TokenBuckets(1, 1)
    day = 86_400 * _S
    buckets.take("a", day)
    assert buckets.take("a", 0) <= 1.0
    assert buckets.take("a", 1 * _S) == 0.0


def test_keys_that_are_full_again_are_forgotten() -> None:
    buckets = TokenBuckets(1, 1)
    for key in range(1000):
        buckets.take(key, 0)
    for key in range(1000):
        buckets.take(-1, (key + 2) * _S)
    assert len(buckets) == 1


def test_keys_are_bounded_in_number_and_the_least_recently_used_goes_first() -> None:
    buckets = TokenBuckets(0.001, 2, max_keys=2)
    for key in "abac":
        buckets.take(key, 0)
    assert len(buckets) == 2
    assert buckets.take("a", 0) > 0
