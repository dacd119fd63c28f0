"""Every log benchmark ends with one JSON object that has what its readers look for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _run(module: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_log_append_says_rate_latency_and_fsync_policy() -> None:
    found = _run("log_append", "--json", "--no-peers", "--seconds", "0.2", "--batch", "4")
    assert found["events_per_s"] > 0
    assert found["event_bytes"] == 256
    assert found["batch"] == 4
    assert 0 < found["p50_ack_ms"] <= found["p99_ack_ms"]
    assert found["fsync_policy"] == "fdatasync before every acknowledgement"
    assert "peers" not in found


def test_without_json_a_table_comes_first_and_the_object_last() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.log_append", "--no-peers", "--seconds", "0.1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "log append"
    assert json.loads(lines[-1])["events_per_s"] > 0


def test_log_scale_has_a_row_a_size() -> None:
    found = _run("log_scale", "--json", "--events", "2000,6000", "--reads", "50")
    assert [row["events"] for row in found["rows"]] == [2000, 6000]
    for row in found["rows"]:
        assert row["append_per_s"] > 0
        assert 0 < row["read_stream_p50_us"] <= row["read_stream_p99_us"]
        assert 0 < row["read_position_p50_us"] <= row["read_position_p99_us"]
        assert row["append_rss_mb"] > 0
        assert row["index_bytes"] > 0
        assert row["log_bytes"] > 256 * row["events"]
        assert row["index_rebuild_s"] >= row["open_without_index_s"] > 0
    assert found["append_at_largest_vs_empty"] > 0
    assert found["restart_s"] == found["rows"][-1]["restart_s"]
    assert found["rss_mb"] == found["rows"][-1]["rss_mb"]


def test_log_scale_leaves_nothing_behind(tmp_path: Path) -> None:
    _run("log_scale", "--events", "2000", "--reads", "1", "--directory", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("events", ["1999", "0", "many"])
def test_log_scale_refuses_a_size_that_is_no_number_of_pairs(events: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.log_scale", "--events", events],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2


def test_log_replay_reads_every_event_of_the_log() -> None:
    # At most 8,000 events are under way at once: even so there are several groups, and segments.
    found = _run("log_replay", "--json", "--events", "40000", "--segment-bytes", "1000000")
    assert found["events"] == 40_000
    assert found["sealed_segments"] >= 1
    assert found["raw_events_per_s"] > 0
    assert found["decoded_events_per_s"] > 0


def test_audit_says_how_fast_the_tree_is_and_what_it_costs_the_writer() -> None:
    found = _run("audit", "--json", "--events", "4000", "--seconds", "0.4", "--rounds", "1")
    assert found["events"] == 4000
    assert found["leaves_per_s"] > 0
    assert found["leaves_per_cpu_s"] > 0
    assert found["verify_events_per_s"] > 0
    assert found["append_slowdown"] > 0
    assert found["append_events_per_s_plain"] > 0
    assert found["append_events_per_s_tree"] > 0
