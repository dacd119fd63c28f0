"""The benchmark of participants ends with one JSON object."""

from tests.benchmarks.test_log_benchmarks import _run


def test_participants_says_rate_and_processor_time_of_both_sides() -> None:
    found = _run("participants", "--json", "--seconds", "0.4", "--at-once", "4")
    assert found["calls_per_s"] > 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["at_once"] == 4
    assert found["fsync_policy"] == "SQLite, synchronous=FULL, before every answer"
    for key in ("adapter_cpu_us_per_call", "httpx_cpu_us_per_call"):
        assert found[key] > 0
