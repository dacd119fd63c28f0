"""Files that somebody put back in the wrong place, or that another kefu wrote, are refused."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import pytest

from infrastructure.eventlog import operations
from infrastructure.eventlog.errors import (
    CorruptFrame,
    CorruptSegment,
    LogLocked,
    MissingSegment,
    NewerFormat,
)
from infrastructure.eventlog.segment import read_footer
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch


def grown_log(tmp_path: Path) -> tuple[Path, Path]:
    """A log of several sealed segments, and a copy of its directory from before most of them."""
    directory, early = tmp_path / "log", tmp_path / "early"
    with EventLog.open(directory, max_segment_bytes=600) as log:
        for number in range(8):
            log.append_sync([batch("s", b"payload %d" % number)])
    shutil.copytree(directory, early)
    with EventLog.open(directory, max_segment_bytes=600) as log:
        for number in range(8, 40):
            log.append_sync([batch("s", b"payload %d" % number)])
    return directory, early


def segments(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in (".seg", ".open"))


def state(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_segments_that_swapped_their_names_are_refused(tmp_path: Path) -> None:
    directory, _ = grown_log(tmp_path)
    one, two = segments(directory)[1:3]
    one.rename(tmp_path / "held")
    two.rename(one)
    (tmp_path / "held").rename(two)
    before = state(directory)
    with pytest.raises(CorruptSegment, match=rf"{one.name} at byte 0: holds position") as caught:
        EventLog.open(directory)
    assert caught.value.next_position == int(one.stem)
    assert not operations.verify(directory).ok
    assert state(directory) == before


def test_an_old_copy_of_a_segment_in_the_place_of_the_sealed_one_is_refused(
    tmp_path: Path,
) -> None:
    directory, early = grown_log(tmp_path)
    old = segments(early)[-1]
    assert old.suffix == ".open"
    sealed = directory / old.with_suffix(".seg").name
    last = read_footer(sealed).last_position
    sealed.unlink()
    shutil.copy(old, directory / old.name)
    before = state(directory)
    with pytest.raises(CorruptFrame, match=f"ends before position {last + 1}"):
        EventLog.open(directory)
    report = operations.verify(directory)
    assert [finding.segment for finding in report.findings] == [old.name]
    assert state(directory) == before


def test_an_old_copy_of_a_segment_beside_the_sealed_one_is_refused(tmp_path: Path) -> None:
    directory, early = grown_log(tmp_path)
    old = segments(early)[-1]
    shutil.copy(old, directory / old.name)
    before = state(directory)
    with pytest.raises(CorruptSegment, match=r"\.seg hold the same positions"):
        EventLog.open(directory)
    assert not operations.verify(directory).ok
    assert state(directory) == before


def test_all_old_segments_with_the_watermark_of_now_are_refused(tmp_path: Path) -> None:
    directory, early = grown_log(tmp_path)
    shutil.copy(directory / "watermark", early / "watermark")
    with pytest.raises(MissingSegment, match="may have been acknowledged"):
        EventLog.open(early)
    assert operations.verify(early).findings[0].code == "log-missing-segment"


def test_an_old_copy_of_the_last_segment_is_opened_and_what_it_lacks_is_counted(
    tmp_path: Path,
) -> None:
    directory, _ = grown_log(tmp_path)
    last = segments(directory)[-1]
    held = last.read_bytes()
    missing = 3
    with EventLog.open(directory) as log:
        at = log.durable_position
        log.append_sync([batch("s", b"%d" % number) for number in range(missing)])
    last.write_bytes(held)
    with EventLog.open(directory) as log:
        assert log.recovered is not None
        assert (log.recovered.missing, log.durable_position) == (missing, at)


def newer(path: Path) -> None:
    """The same segment in format 2."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 8, 2)
    struct.pack_into("<I", data, 72, google_crc32c.value(bytes(data[:72])))
    path.write_bytes(data)


@pytest.mark.parametrize("which", [0, 2, -1])
@pytest.mark.parametrize("use", [EventLog.open, operations.verify], ids=["open", "verify"])
def test_one_segment_of_a_newer_format_and_nothing_is_touched(
    tmp_path: Path, which: int, use: Callable[[Path], object]
) -> None:
    directory, _ = grown_log(tmp_path)
    newer(segments(directory)[which])
    before = state(directory)
    with pytest.raises(NewerFormat, match="run the kefu that wrote it, or a newer one"):
        use(directory)
    assert state(directory) == before


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    hold = "import sys, tests.faults.log_writer as w; w.write(w.Path(sys.argv[1]), 0)"
    command = [sys.executable, "-c", hold, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            with pytest.raises(LogLocked, match=f"written by process {process.pid}; stop it"):
                EventLog.open(tmp_path / "log")
        finally:
            process.kill()
    EventLog.open(tmp_path / "log").close()
    # A pid in the file of a lock that nobody holds says nothing.
    (tmp_path / "log/lock").write_text(str(os.getpid()))
    EventLog.open(tmp_path / "log").close()
