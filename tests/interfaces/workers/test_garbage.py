"""The collector's pace in a role's process."""

import gc
from collections.abc import Iterator

import pytest

from interfaces.workers import garbage


@pytest.fixture(autouse=True)
def _keep_the_test_runners_own_pace() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_young_objects_of_thousands_of_messages_do_not_start_a_collection() -> None:
    _, middle, old = gc.get_threshold()
    garbage.collect_less_often()
    assert gc.get_threshold() == (50_000, middle, old)


def test_cyclic_garbage_is_still_collected() -> None:
    garbage.collect_less_often()
    gc.collect()
    before = gc.get_stats()[0]["collected"]
    for _ in range(60_000):
        cycle: list[object] = []
        cycle.append(cycle)
    assert gc.get_stats()[0]["collected"] > before
