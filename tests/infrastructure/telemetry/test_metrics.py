"""Each role answers scrapes on a socket of its own; what Prometheus reads is what was counted."""

import socket
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from infrastructure.telemetry import collectors
from infrastructure.telemetry.metrics_socket import MetricsServer, gather


def test_a_histogram_is_cumulative_and_ends_at_infinity() -> None:
    render = collectors.renderer(
        lambda: [collectors.histogram("kefu_x_seconds", "X.", (0.1, 1.0), [2, 0, 3], 7.5)]
    )
    (family,) = text_string_to_metric_families(render().decode())
    buckets = [(s.labels["le"], s.value) for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == [("0.1", 2), ("1.0", 2), ("+Inf", 5)]
    assert {s.name: s.value for s in family.samples if not s.labels} == {
        "kefu_x_seconds_count": 5,
        "kefu_x_seconds_sum": 7.5,
    }


def test_restarts_and_running_parts_are_shown() -> None:
    render = collectors.renderer(
        lambda: collectors.supervisor_families({"core": 2}, {"core": True, "postgres": False})
    )
    samples = {
        (sample.name, sample.labels["part"]): sample.value
        for family in text_string_to_metric_families(render().decode())
        for sample in family.samples
    }
    assert samples == {
        ("kefu_restarts_total", "core"): 2,
        ("kefu_running", "core"): 1,
        ("kefu_running", "postgres"): 0,
    }


def test_one_scrape_gathers_the_roles_that_answer(tmp_path: Path) -> None:
    servers = [
        MetricsServer(tmp_path, name, lambda name=name: f"# {name}\n".encode())
        for name in ("core", "projector")
    ]
    for server in servers:
        server.start()
    with socket.socket(socket.AF_UNIX) as killed:  # its socket file stays behind
        killed.bind(str(tmp_path / "metrics-automation.sock"))
    assert gather(tmp_path) == b"# core\n# projector\n"
    assert (tmp_path / "metrics-core.sock").stat().st_mode & 0o777 == 0o600
    servers[0].close()
    assert gather(tmp_path) == b"# projector\n"
    servers[1].close()


def test_a_role_that_was_killed_answers_again_after_its_restart(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "metrics-core.sock"))
    server = MetricsServer(tmp_path, "core", lambda: b"again\n")
    server.start()
    assert gather(tmp_path) == b"again\n"
    server.close()
