"""Log lines that clients cause: the first at once, then their number."""

from typing import Any

from interfaces.bounded_log import BoundedLog


class _Lines:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))


def test_a_wave_is_its_first_line_and_then_its_number() -> None:
    seen = _Lines()
    log = BoundedLog(seen, every_s=10)
    for n in range(1000):
        log.warning("flood", n / 100, address=n)
    assert seen.lines == [("flood", {"address": 0})]
    log.flush(10)
    assert seen.lines[1:] == [("flood", {"address": 999, "times": 999, "in_s": 10})]


def test_a_wave_that_goes_on_is_a_line_every_so_often() -> None:
    seen = _Lines()
    log = BoundedLog(seen, every_s=10)
    for second in range(101):
        log.warning("flood", second)
    assert len(seen.lines) == 11
    assert sum(fields.get("times", 1) for _, fields in seen.lines) == 101


def test_kinds_do_not_silence_each_other() -> None:
    seen = _Lines()
    log = BoundedLog(seen)
    log.warning("flood", 0)
    log.warning("storm", 0)
    assert [event for event, _ in seen.lines] == ["flood", "storm"]


def test_after_a_quiet_time_the_first_is_written_at_once_again() -> None:
    seen = _Lines()
    log = BoundedLog(seen, every_s=10)
    log.warning("flood", 0)
    log.flush(10)
    log.warning("flood", 11)
    assert seen.lines == [("flood", {}), ("flood", {})]
