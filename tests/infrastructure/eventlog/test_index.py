"""The index is a cache: missing, stale or wrong, it is made anew from the log."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infrastructure.eventlog import merging
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import wait_until

MakeLog = Callable[..., Path]


def contents(directory: Path) -> list[tuple[int, int, bytes]]:
    with EventLog.open(directory) as log:
        return [
            (event.position, event.version, event.payload)
            for stream in ("s-0", "s-1")
            for event in log.read_stream(stream)
        ]


def test_a_missing_index_is_rebuilt(small_log: MakeLog) -> None:
    directory = small_log(9)
    before = contents(directory)
    shutil.rmtree(directory / "index")
    assert contents(directory) == before
    assert len(before) == 9


def test_a_stale_index_goes_on_from_where_it_is(small_log: MakeLog, tmp_path: Path) -> None:
    directory = small_log(3)
    shutil.copytree(directory / "index", tmp_path / "old")
    with EventLog.open(directory) as log:
        log.append_sync([batch("s-0", b"later")])
    shutil.rmtree(directory / "index")
    shutil.copytree(tmp_path / "old", directory / "index")
    assert [payload for _, _, payload in contents(directory)].count(b"later") == 1


def test_the_index_of_another_log_is_thrown_away(small_log: MakeLog, tmp_path: Path) -> None:
    directory = small_log(3)
    before = contents(directory)
    with EventLog.open(tmp_path / "other") as log:
        for number in range(3):
            log.append_sync([batch("s-0", b"other %d" % number)])
    shutil.rmtree(directory / "index")
    shutil.copytree(tmp_path / "other" / "index", directory / "index")
    assert contents(directory) == before


def test_an_index_that_is_ahead_of_the_log_is_thrown_away(
    small_log: MakeLog, tmp_path: Path
) -> None:
    directory = small_log(3)
    before = contents(directory)
    shutil.copytree(directory, tmp_path / "copy")
    with EventLog.open(tmp_path / "copy") as log:
        log.append_sync([batch("s-0", b"ahead")])
    shutil.rmtree(directory / "index")
    shutil.copytree(tmp_path / "copy" / "index", directory / "index")
    assert contents(directory) == before


@pytest.mark.parametrize("garbage", [b"", b"not an lmdb file", b"\x00" * 8192])
def test_a_broken_index_file_is_thrown_away(small_log: MakeLog, garbage: bytes) -> None:
    directory = small_log(3)
    before = contents(directory)
    (directory / "index" / "data.mdb").write_bytes(garbage)
    assert contents(directory) == before


def test_a_table_that_can_not_be_merged_is_shown_by_the_log(small_log: MakeLog) -> None:
    directory = small_log(0)
    with EventLog.open(directory) as log:
        for number in range(merging.FAN_OUT):
            log.append_sync([batch("s-0", b"%d" % number)])
            if number == merging.FAN_OUT - 1:
                table = sorted((directory / "index").iterdir())[0]
                damaged = bytearray(table.read_bytes())
                damaged[-1] ^= 1
                table.chmod(0o600)
                table.write_bytes(damaged)
            log._tail.flush()
        wait_until(lambda: log.index_failure is not None, 10, "the failure is shown")
        assert "checksum" in str(log.index_failure)
