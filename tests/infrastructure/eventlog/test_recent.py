"""The newest frames are served from memory, and say the same as the file."""

from pathlib import Path

import pytest

from infrastructure.eventlog.encoding import EncodedFrame
from infrastructure.eventlog.reader import SegmentReader
from infrastructure.eventlog.recent import RecentFrames
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch


def test_the_oldest_frames_go_first() -> None:
    recent = RecentFrames(max_bytes=250)
    for number in range(4):
        recent.add(76, EncodedFrame(b"x" * 100, 0, 1 + number, []))
    assert sorted(recent._frames) == [3, 4]
    assert recent.get(1) is None


def test_what_was_just_written_is_read_without_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EventLog.open(tmp_path / "log", max_segment_bytes=600) as log:
        for number in range(20):
            log.append_sync([batch(f"s-{number % 2}", b"%d" % number, b"and %d" % number)])
        monkeypatch.setattr(SegmentReader, "at", None)
        from_memory = [log.read_stream(f"s-{n}") for n in range(2)]
        monkeypatch.undo()
        log._writer.recent = RecentFrames()
        assert [log.read_stream(f"s-{n}") for n in range(2)] == from_memory
    assert [len(events) for events in from_memory] == [20, 20]
