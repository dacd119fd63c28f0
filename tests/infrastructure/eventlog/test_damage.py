"""Damage is cut off where it is a torn tail, located everywhere else, and never skipped."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format, operations
from infrastructure.eventlog.errors import (
    CorruptFrame,
    CorruptLog,
    CorruptSegment,
    LogLocked,
    MissingSegment,
    NewerFormat,
)
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch

MakeLog = Callable[..., Path]


def the_segment(directory: Path) -> Path:
    (path,) = directory.glob("*.open")
    return path


def payloads(directory: Path) -> list[bytes]:
    with EventLog.open(directory) as log:
        return [event.payload for event in log.read(0, 1_000)]


def test_truncation_at_every_byte_leaves_a_prefix_and_keeps_what_was_cut(
    small_log: MakeLog, tmp_path: Path
) -> None:
    directory = small_log(3)
    data = the_segment(directory).read_bytes()
    whole = payloads(directory)
    seen = set()
    for size in range(format.SEGMENT_HEADER_BYTES, len(data)):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("index"))
        the_segment(copy).write_bytes(data[:size])
        found = payloads(copy)
        assert found == whole[: len(found)]
        seen.add(len(found))
        end = format.SEGMENT_HEADER_BYTES
        torn = list(copy.glob("*.torn"))
        with the_segment(copy).open("rb") as file:
            end = len(file.read())
        assert sum(len(path.read_bytes()) for path in torn) == size - end
    assert seen == {0, 1, 2}


def test_a_flipped_bit_at_every_byte_is_never_read_as_if_nothing_were(
    small_log: MakeLog, tmp_path: Path
) -> None:
    directory = small_log(3)
    data = the_segment(directory).read_bytes()
    whole = payloads(directory)
    last_frame = data.rindex(format.FRAME_MAGIC)
    for offset in range(len(data)):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("index"))
        damaged = bytearray(data)
        damaged[offset] ^= 1 << (offset % 8)
        the_segment(copy).write_bytes(damaged)
        assert not operations.verify(copy).ok
        with pytest.raises((CorruptLog, NewerFormat)):
            EventLog.open(copy).close()
        assert the_segment(copy).read_bytes() == bytes(damaged), "a refusal changes nothing"
        if offset >= last_frame:
            # Only the watermark tells the last frame from one that was never finished.
            (copy / "watermark").unlink()
            assert payloads(copy) == whole[:-1]
            assert list(copy.glob("*.torn"))


def test_an_unfinished_frame_behind_the_acknowledged_ones_is_cut_off(small_log: MakeLog) -> None:
    directory = small_log(3)
    path = the_segment(directory)
    data = path.read_bytes()
    last_frame = data[data.rindex(format.FRAME_MAGIC) :]
    path.write_bytes(data + last_frame[:-1] + b"?" + bytes(4096))
    with EventLog.open(directory) as log:
        assert [event.payload for event in log.read(0, 10)] == [b"payload %d" % n for n in range(3)]
        assert log.recovered is not None
        assert (log.recovered.missing, log.recovered.cut) == (0, len(last_frame) + 8)
    (torn,) = directory.glob("*.torn")
    assert torn.read_bytes().startswith(last_frame[:-1])


def test_a_copy_of_a_log_in_use_opens_and_says_what_it_lacks(small_log: MakeLog) -> None:
    directory = small_log(3)
    path = the_segment(directory)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(format.FRAME_MAGIC)] + bytes(100_000))
    with EventLog.open(directory) as log:
        assert len(log.read(0, 10)) == 2
        assert log.recovered is not None
        assert log.recovered.missing == 1


def test_two_damaged_frames_do_not_hide_a_valid_one_behind_them(small_log: MakeLog) -> None:
    directory = small_log(5)
    (directory / "watermark").unlink()
    path = the_segment(directory)
    data = bytearray(path.read_bytes())
    at = [n for n in range(len(data)) if data[n : n + 4] == format.FRAME_MAGIC]
    for frame in at[2:4]:
        data[frame + 8] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CorruptFrame, match="position 5 follows"):
        EventLog.open(directory)


def test_damage_in_the_middle_names_file_offset_and_positions(small_log: MakeLog) -> None:
    directory = small_log(3)
    path = the_segment(directory)
    data = bytearray(path.read_bytes())
    second = data.index(format.FRAME_MAGIC, data.index(format.FRAME_MAGIC) + 1)
    data[second + 40] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CorruptFrame) as caught:
        EventLog.open(directory)
    assert (caught.value.path, caught.value.offset) == (path, second)
    assert caught.value.next_position == 2
    assert "salvage" in caught.value.detail


def test_salvage_copies_what_is_intact_and_says_what_is_lost(
    small_log: MakeLog, tmp_path: Path
) -> None:
    directory = small_log(5)
    path = the_segment(directory)
    data = bytearray(path.read_bytes())
    second = data.index(format.FRAME_MAGIC, data.index(format.FRAME_MAGIC) + 1)
    data[second + 40] ^= 0xFF
    path.write_bytes(data)
    report = operations.salvage(directory, tmp_path / "new")
    assert report.copied_events == 4
    assert [finding.position for finding in report.lost] == [2]
    before, after = data_of(directory, tmp_path), operations.export(tmp_path / "new")
    for old, new in zip(before, after, strict=True):
        if old.position == 2:
            assert (new.position, new.type) == (2, "log.lost.v1")
        else:
            assert new == old
    with EventLog.open(tmp_path / "new") as log:
        log.append_sync([batch("s-1", b"goes on", expected=1)])
    assert operations.verify(tmp_path / "new").ok


def test_salvage_fills_the_place_of_a_whole_lost_segment(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path, 4)
    whole = payloads(directory)
    sorted(directory.glob("*.seg"))[1].unlink()
    report = operations.salvage(directory, tmp_path / "new")
    assert report.copied_events == 3
    assert [finding.position for finding in report.lost] == [2]
    whole[1] = b"{}"
    assert payloads(tmp_path / "new") == whole


def test_salvage_of_an_intact_log_is_the_same_log(small_log: MakeLog, tmp_path: Path) -> None:
    directory = small_log(5)
    report = operations.salvage(directory, tmp_path / "new")
    assert (report.copied_events, report.lost) == (5, [])
    assert list(operations.export(tmp_path / "new")) == list(operations.export(directory))
    with pytest.raises(FileExistsError):
        operations.salvage(directory, tmp_path / "new")


def data_of(directory: Path, tmp_path: Path) -> list[RecordedEvent]:
    """What a damaged log of `small_log` held."""
    whole = tmp_path / "whole"
    shutil.copytree(directory, whole)
    path = the_segment(whole)
    data = bytearray(path.read_bytes())
    second = data.index(format.FRAME_MAGIC, data.index(format.FRAME_MAGIC) + 1)
    data[second + 40] ^= 0xFF
    path.write_bytes(data)
    return list(operations.export(whole))


def sealed_log(tmp_path: Path, segments: int = 3) -> Path:
    """Every frame rolls, so each segment holds one event."""
    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_bytes=1) as log:
        for number in range(segments):
            log.append_sync([batch("s", b"payload %d" % number)])
    return directory


def test_a_full_segment_is_sealed_read_only_and_chained(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path)
    sealed = sorted(directory.glob("*.seg"))
    assert len(sealed) == 3
    assert all(path.stat().st_mode & 0o222 == 0 for path in sealed)
    assert operations.verify(directory).ok
    assert payloads(directory) == [b"payload 0", b"payload 1", b"payload 2"]


def test_an_idle_segment_is_sealed_by_age(tmp_path: Path) -> None:
    from tests.serving import wait_until

    directory = tmp_path / "log"
    with EventLog.open(directory, max_segment_age_s=0.05) as log:
        log.append_sync([batch("s", b"x")])
        wait_until(lambda: list(directory.glob("*.seg")), 10, "the segment is sealed")
        log.append_sync([batch("s", b"y")])
        assert [e.payload for e in log.read(0, 10)] == [b"x", b"y"]


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path)
    sorted(directory.glob("*.seg"))[1].unlink()
    with pytest.raises(MissingSegment):
        EventLog.open(directory)


@pytest.mark.parametrize("which", [0, -1])
def test_a_missing_first_or_last_segment_is_refused(tmp_path: Path, which: int) -> None:
    directory = sealed_log(tmp_path)
    sorted([*directory.glob("*.seg"), *directory.glob("*.open")])[which].unlink()
    with pytest.raises(MissingSegment):
        EventLog.open(directory)
    assert not operations.verify(directory).ok


def test_a_segment_of_another_history_is_refused(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path / "a")
    other = sealed_log(tmp_path / "b")
    victim = sorted(directory.glob("*.seg"))[1]
    victim.unlink()
    shutil.copy(other / victim.name, victim)
    with pytest.raises(CorruptSegment):
        EventLog.open(directory)


def test_a_flipped_bit_at_every_byte_of_a_sealed_segment_is_found(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path, 2)
    path = sorted(directory.glob("*.seg"))[0]
    data = path.read_bytes()
    path.chmod(0o600)
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << (offset % 8)
        path.write_bytes(damaged)
        report = operations.verify(directory)
        assert not report.ok, f"byte {offset}"
        assert report.findings[0].segment in (path.name, f"{2:020d}.seg")


def test_a_second_writer_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    import os

    with (
        EventLog.open(tmp_path / "log"),
        pytest.raises(LogLocked, match=str(os.getpid())),
    ):
        EventLog.open(tmp_path / "log")


def test_a_newer_format_is_refused_and_not_touched(small_log: MakeLog) -> None:
    import struct

    import google_crc32c

    directory = small_log(1)
    path = the_segment(directory)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 8, 2)
    struct.pack_into("<I", data, 72, google_crc32c.value(bytes(data[:72])))
    path.write_bytes(data)
    with pytest.raises(NewerFormat):
        EventLog.open(directory)
    assert path.read_bytes() == bytes(data)


def test_sealing_that_was_interrupted_is_finished_at_the_next_start(tmp_path: Path) -> None:
    directory = sealed_log(tmp_path)
    first = sorted(directory.glob("*.seg"))[0]
    data = first.read_bytes()
    end = data.rindex(format.FOOTER_MAGIC)
    first.chmod(0o600)
    first.write_bytes(data[: end + 20])
    first.rename(first.with_suffix(".open"))
    assert payloads(directory) == [b"payload 0", b"payload 1", b"payload 2"]
    assert operations.verify(directory).ok
    assert first.exists()
