"""The metrics of all roles are one valid page."""

from prometheus_client.parser import text_string_to_metric_families

from interfaces.http.exposition import merge

WEB = b"""# HELP kefu_lag Events behind.
# TYPE kefu_lag gauge
kefu_lag{cursor="live"} 1.0
# HELP kefu_frames_total Frames.
# TYPE kefu_frames_total counter
kefu_frames_total 2.0
"""
PROJECTOR = b"""# HELP kefu_lag Events behind, said otherwise.
# TYPE kefu_lag gauge
kefu_lag{cursor="views"} 3.0
# HELP kefu_s Time.
# TYPE kefu_s histogram
kefu_s_bucket{le="1.0"} 1.0
kefu_s_bucket{le="+Inf"} 2.0
kefu_s_count 2.0
kefu_s_sum 4.5
"""


def test_a_metric_of_two_roles_is_one_group_with_one_head() -> None:
    page = merge(WEB, PROJECTOR).decode()
    assert page.count("# TYPE kefu_lag gauge") == 1
    assert page.index('cursor="live"') < page.index('cursor="views"') < page.index("kefu_frames")
    families = {f.name: f for f in text_string_to_metric_families(page)}
    assert sorted(families) == ["kefu_frames", "kefu_lag", "kefu_s"]
    assert len(families["kefu_lag"].samples) == 2
    assert len(families["kefu_s"].samples) == 4


def test_one_page_stays_as_it_is_and_no_page_is_empty() -> None:
    assert merge(PROJECTOR) == PROJECTOR
    assert merge() == b""
    assert merge(b"", WEB) == WEB
