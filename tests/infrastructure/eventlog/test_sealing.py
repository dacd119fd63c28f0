"""What stands behind a sealed segment's frames."""

from pathlib import Path

from infrastructure.eventlog.segment import list_segments, read_footer, read_footer_streams
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch


def _fill(directory: Path) -> None:
    with EventLog.open(directory, max_segment_bytes=600) as log:
        for number in range(30):
            log.append_sync([batch(f"s-{number % 2}", b"payload %d" % number, b"and again")])


def _footers(directory: Path) -> list[object]:
    sealed = [segment.path for segment in list_segments(directory) if segment.sealed]
    return [(read_footer(path), read_footer_streams(path)) for path in sealed]


def test_a_footer_that_was_counted_along_is_the_one_that_is_counted_from_the_file(
    tmp_path: Path,
) -> None:
    _fill(tmp_path / "log")
    counted = _footers(tmp_path / "log")
    assert len(counted) >= 3
    for segment in list_segments(tmp_path / "log"):
        if segment.sealed:  # as if the writer had been killed before it could seal
            end = read_footer(segment.path).content_end
            content = segment.path.read_bytes()[:end]
            segment.path.unlink()
            segment.path.with_suffix(".open").write_bytes(content)
    with EventLog.open(tmp_path / "log"):
        assert _footers(tmp_path / "log") == counted


def test_a_segment_that_two_processes_wrote_counts_the_events_of_both(tmp_path: Path) -> None:
    for start in range(2):
        with EventLog.open(tmp_path / "log", max_segment_bytes=600) as log:
            for number in range(2 + 4 * start):
                log.append_sync([batch("s", b"start %d, event %d" % (start, number))])
    first = list_segments(tmp_path / "log")[0]
    assert first.sealed
    footer = read_footer(first.path)
    assert read_footer_streams(first.path) == {"s": (footer.last_position - 1, footer.events)}
