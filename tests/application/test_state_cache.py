"""What was used lately stays, and there is never more than the cache may hold."""

from application.commands.state_cache import CachedState, StateCache


def entry(number: int) -> CachedState:
    return CachedState(number, f"state {number}")


def test_the_newest_half_and_what_is_used_stay_and_the_rest_goes() -> None:
    cache = StateCache(10)
    for number in range(100):
        cache.put("message", str(number), entry(number))
        assert cache.get("message", "0") == entry(0), "it is used all the time"
        assert len(cache) <= 10
    for number in range(96, 100):
        assert cache.get("message", str(number)) == entry(number)
    assert cache.get("message", "50") is None


def test_a_category_does_not_push_out_another_one() -> None:
    cache = StateCache(10)
    cache.put("conversation", "c", entry(1))
    for number in range(100):
        cache.put("message", str(number), entry(number))
    assert cache.get("conversation", "c") == entry(1)


def test_the_newest_state_of_an_id_is_the_one_that_is_found() -> None:
    cache = StateCache(10)
    for number in range(100):
        cache.put("message", "m", entry(number))
        cache.put("message", str(number), entry(0))
        assert cache.get("message", "m") == entry(number)


def test_after_a_failure_everything_is_forgotten() -> None:
    cache = StateCache()
    cache.put("message", "m", entry(1))
    cache.clear()
    assert cache.get("message", "m") is None
    assert len(cache) == 0
