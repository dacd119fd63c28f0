"""A backup is a prefix of the log, taken without stopping it; what is restored is that prefix."""

import errno
import shutil
from pathlib import Path

import pytest

from infrastructure.eventlog import backup as backups
from infrastructure.eventlog import copying, operations
from infrastructure.eventlog.backup import backup
from infrastructure.eventlog.backup_manifest import MANIFEST, read_manifest
from infrastructure.eventlog.errors import (
    CorruptFrame,
    CorruptLog,
    CorruptSegment,
    LogLocked,
    NewerFormat,
    WrongBackup,
)
from infrastructure.eventlog.recovery import lock_directory
from infrastructure.eventlog.restore import restore
from infrastructure.eventlog.segment import list_segments, read_footer
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.conftest import batch
from tests.serving import wait_until


def write(directory: Path, first: int, count: int, segment_bytes: int = 600) -> None:
    with EventLog.open(directory, max_segment_bytes=segment_bytes) as log:
        for number in range(first, first + count):
            log.append_sync([batch(f"s-{number % 2}", b"payload %d" % number)])


def unseal(path: Path) -> None:
    """As if the writer had been killed before it could seal this segment."""
    content = path.read_bytes()[: read_footer(path).content_end]
    path.unlink()
    path.with_suffix(".open").write_bytes(content)


def damage(path: Path, offset: int) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_a_restored_log_is_the_log_and_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, 30)
    told: list[tuple[int, int]] = []
    report = backup(tmp_path / "log", tmp_path / "saved", lambda *at: told.append(at))
    assert report.position == 30
    assert report.segments == report.copied_segments == len(list_segments(tmp_path / "log"))
    assert told[-1][0] == told[-1][1] > 0
    assert operations.verify(tmp_path / "saved/log").ok
    told.clear()
    restored = restore(tmp_path / "saved", tmp_path / "new/log", lambda *at: told.append(at))
    assert (restored.position, restored.segments) == (30, report.segments)
    assert told[-1][0] == told[-1][1] > 0
    before = list(operations.export(tmp_path / "log"))
    assert list(operations.export(tmp_path / "new/log")) == before
    with EventLog.open(tmp_path / "new/log") as log:
        assert log.recovered is None
        assert log.append_sync([batch("s-0", b"goes on", expected=14)]) == [31]
        assert [event.payload for event in log.read_stream("s-0")][-1] == b"goes on"
    assert operations.verify(tmp_path / "new/log").ok


def test_a_second_backup_copies_only_what_is_new(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 30)
    backup(log, saved)
    before = {path: path.stat().st_ino for path in (saved / "log").glob("*.seg")}
    assert len(before) >= 3
    write(log, 30, 10)
    report = backup(log, saved)
    assert report.copied_segments == report.segments - len(before)
    assert {path: path.stat().st_ino for path in before} == before
    assert len(list((saved / "log").glob("*.open"))) == 1
    assert not (saved / "partial").exists()
    restore(saved, tmp_path / "new")
    assert list(operations.export(tmp_path / "new")) == list(operations.export(log))


def test_a_damaged_segment_of_a_backup_is_copied_again(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 30)
    backup(log, saved)
    first, second = sorted((saved / "log").glob("*.seg"))[:2]
    damage(first, 100)
    damage(second, second.stat().st_size - 20)
    with pytest.raises(CorruptFrame, match="at byte 76"):
        restore(saved, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert backup(log, saved).copied_segments == 3  # these two, and the unsealed one
    restore(saved, tmp_path / "new")
    assert operations.verify(tmp_path / "new").ok


def test_a_damaged_log_is_not_backed_up_and_the_backup_before_stays(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 30)
    backup(log, saved)
    write(log, 30, 30)
    damage(sorted(log.glob("*.seg"))[-1], 100)
    with pytest.raises(CorruptFrame) as caught:
        backup(log, saved)
    assert caught.value.offset == 76
    assert restore(saved, tmp_path / "new").position == 30


def test_a_damaged_segment_is_not_taken_for_the_good_copy_of_it(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 30)
    backup(log, saved)
    kept = files(saved)
    for offset in (10, 30, 60):  # a changed header does not lead to a refusal of the wrong kind
        path = sorted(log.glob("*.seg"))[0]
        damage(path, offset)
        with pytest.raises(CorruptLog):
            backup(log, saved)
        damage(path, offset)
    assert files(saved) == kept


def test_unsealed_full_segments_are_backed_up_and_sealed_when_restored(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 30)
    for path in sorted(log.glob("*.seg"))[-2:]:
        unseal(path)
    assert backup(log, saved).position == 30
    assert len(list((saved / "log").glob("*.open"))) == 3
    restore(saved, tmp_path / "new")
    with EventLog.open(tmp_path / "new") as opened:
        assert len(opened.read(0, 100)) == 30
    assert len(list((tmp_path / "new").glob("*.open"))) == 1
    write(log, 30, 1)  # seals them in the log too
    backup(log, saved)
    assert len(list((saved / "log").glob("*.open"))) == 1
    assert operations.verify(saved / "log").ok


def test_a_backup_of_an_empty_log_can_be_restored(tmp_path: Path) -> None:
    EventLog.open(tmp_path / "log").close()
    assert backup(tmp_path / "log", tmp_path / "saved").position == 0
    restore(tmp_path / "saved", tmp_path / "new")
    write(tmp_path / "new", 0, 1)


@pytest.mark.parametrize("content", ["a file", "another log", "no log"])
def test_what_is_no_backup_of_this_log_is_refused_and_left_alone(
    tmp_path: Path, content: str
) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 10)
    saved.mkdir()
    if content == "a file":
        (saved / "letter.txt").write_text("mine")
    if content == "another log":
        write(tmp_path / "other", 0, 10)
        backup(tmp_path / "other", saved)
    if content == "no log":
        log = tmp_path / "nothing"
        log.mkdir()
    before = files(saved)
    with pytest.raises(FileExistsError if content == "a file" else WrongBackup):
        backup(log, saved)
    assert files(saved) == before


def test_a_backup_of_another_history_is_refused_and_left_alone(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 10)
    backup(log, tmp_path / "early")
    write(log, 10, 20)
    backup(log, saved)
    restore(tmp_path / "early", tmp_path / "back")
    before = files(saved)
    with pytest.raises(WrongBackup, match="ends with position 30"):
        backup(tmp_path / "back", saved)
    write(tmp_path / "back", 100, 40)  # as long again, with other events
    with pytest.raises(WrongBackup, match="another history"):
        backup(tmp_path / "back", saved)
    assert files(saved) == before
    shutil.rmtree(saved / "partial", ignore_errors=True)
    backup(tmp_path / "back", tmp_path / "early")  # it does go on from there


@pytest.mark.parametrize("survives", range(1, 8))
def test_a_backup_that_fails_anywhere_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 12)
    backup(log, saved)
    write(log, 12, 30)
    steps = 0

    def fail_later(real: object) -> object:
        def call(*arguments: object) -> object:
            nonlocal steps
            steps += 1
            if steps >= survives:
                raise OSError(errno.EIO, "Input/output error")
            return real(*arguments)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        patch.setattr(backups, "copy_file", fail_later(backups.copy_file))
        patch.setattr(backups, "_publish", fail_later(backups._publish))
        patch.setattr(backups, "replace_file", fail_later(backups.replace_file))
        with pytest.raises(OSError, match="Input/output"):
            backup(log, saved)
    assert restore(saved, tmp_path / "old").position == 12
    assert backup(log, saved).position == 42
    assert restore(saved, tmp_path / "new").position == 42
    assert operations.verify(saved / "log").ok


def test_a_copy_that_is_not_what_was_copied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure only: the target's disk changes a bit."""
    write(tmp_path / "log", 0, 30)
    real = copying.copy_file

    def copy(source: Path, target: Path, *more: object) -> None:
        real(source, target, *more)  # type: ignore[arg-type]
        damage(target, 150)

    monkeypatch.setattr(backups, "copy_file", copy)
    with pytest.raises(CorruptSegment, match="not what was copied"):
        backup(tmp_path / "log", tmp_path / "saved")
    manifest = read_manifest(tmp_path / "saved")
    assert manifest is not None
    assert manifest.files == []
    with pytest.raises(WrongBackup, match="not finished"):
        restore(tmp_path / "saved", tmp_path / "new")


def test_two_backups_into_one_directory_do_not_mix(tmp_path: Path) -> None:
    import os

    write(tmp_path / "log", 0, 3)
    backup(tmp_path / "log", tmp_path / "saved")
    lock = lock_directory(tmp_path / "saved/log")
    with pytest.raises(LogLocked, match=str(os.getpid())):
        backup(tmp_path / "log", tmp_path / "saved")
    os.close(lock)


def test_a_backup_of_a_newer_format_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, 3)
    backup(tmp_path / "log", tmp_path / "saved")
    path = tmp_path / "saved" / MANIFEST
    path.write_text(path.read_text().replace('"format":1', '"format":2'))
    before = files(tmp_path / "saved")
    for refused in (
        lambda: backup(tmp_path / "log", tmp_path / "saved"),
        lambda: restore(tmp_path / "saved", tmp_path / "new"),
    ):
        with pytest.raises(NewerFormat, match="newer one"):
            refused()
    assert files(tmp_path / "saved") == before


def test_segments_that_went_to_an_archive_stay_in_the_backup(tmp_path: Path) -> None:
    log, saved = tmp_path / "log", tmp_path / "saved"
    write(log, 0, 30)
    backup(log, saved)
    write(log, 30, 10)
    gone = sorted(log.glob("*.seg"))[:2]
    whole = list(operations.export(log))
    for path in gone:
        path.unlink()
    assert backup(log, saved).position == 40
    restore(saved, tmp_path / "new")
    assert list(operations.export(tmp_path / "new")) == whole
    with pytest.raises(CorruptLog, match="missing"):
        backup(log, tmp_path / "fresh")


def test_restore_replaces_nothing_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "log", 0, 30)
    with pytest.raises(WrongBackup, match="no backup"):
        restore(tmp_path / "log", tmp_path / "new")
    backup(tmp_path / "log", tmp_path / "saved")
    before = files(tmp_path / "log")
    with pytest.raises(FileExistsError):
        restore(tmp_path / "saved", tmp_path / "log")
    assert files(tmp_path / "log") == before
    (saved := sorted((tmp_path / "saved/log").glob("*.seg"))[1]).unlink()
    with pytest.raises(WrongBackup, match=saved.name):
        restore(tmp_path / "saved", tmp_path / "new")
    assert not list(tmp_path.glob("new*"))
    backup(tmp_path / "log", tmp_path / "saved")
    (tmp_path / "new").mkdir()
    assert restore(tmp_path / "saved", tmp_path / "new").position == 30


def test_a_backup_ends_where_the_watermark_was_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    with EventLog.open(log, max_segment_bytes=600) as writer:
        for number in range(10):
            writer.append_sync([batch("s", b"%d" % number)])
        real = backups.copy_file
        done = 0

        def copy(*arguments: object) -> None:
            nonlocal done
            if not done:
                rolled = writer.stats.segments_rolled
                while writer.stats.segments_rolled < rolled + 3:
                    writer.append_sync([batch("s", b"later")])
                wait_until(lambda: len(list(log.glob("*.open"))) == 1, 10, "all are sealed")
            done += 1
            real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(backups, "copy_file", copy)
        assert backup(log, tmp_path / "saved").position == 10
        restore(tmp_path / "saved", tmp_path / "new")
        found = list(operations.export(tmp_path / "new"))
        assert found == writer.read(0, 10)
