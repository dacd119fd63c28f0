"""What is only in the archive is read as if it were here, or refused with its place."""

import shutil
import threading
from pathlib import Path

import msgspec
import pytest

from infrastructure.eventlog import operations
from infrastructure.eventlog.archive import cache, manifest
from infrastructure.eventlog.archive.archiver import upload
from infrastructure.eventlog.archive.cache import SegmentCache
from infrastructure.eventlog.archive.errors import (
    ArchiveUnavailable,
    ArchiveUnknown,
    CorruptArchive,
)
from infrastructure.eventlog.archive.expiry import expire
from infrastructure.eventlog.archive.location import save_location
from infrastructure.eventlog.archive.rebuild import attach, rebuild_manifest
from infrastructure.eventlog.backup import backup
from infrastructure.eventlog.errors import CorruptSegment, MissingSegment
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.restore import restore
from infrastructure.eventlog.retention import CursorRegistry, RetentionPolicy
from infrastructure.eventlog.scrubber import Scrubber
from infrastructure.eventlog.segment import list_segments
from infrastructure.eventlog.store import EventLog
from tests.infrastructure.eventlog.archive.conftest import Archived
from tests.infrastructure.eventlog.conftest import batch

PAYLOADS = [b"payload %d" % number for number in range(7)]


def move(archived: Archived, keep: int = 1) -> None:
    """Archive everything, and keep so many sealed segments here."""
    upload(archived.log, archived.store)
    policy = RetentionPolicy(segments=keep, hours=0, free_bytes=0)
    expire(archived.log, archived.store, policy, CursorRegistry({}), lambda: 7)


def folder_of(archived: Archived) -> Path:
    return Path(archived.location.url.removeprefix("file://"))


def payloads(directory: Path) -> list[bytes]:
    return [event.payload for event in operations.export(directory)]


def cached(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "archive" / "cache").glob("*.seg"))


def test_readers_see_no_difference(archived: Archived) -> None:
    before = list(operations.export(archived.log))
    move(archived)
    assert [s.remote for s in list_segments(archived.log)] == [True] * 5 + [False] * 2
    assert list(operations.export(archived.log)) == before
    reader = LogReader(archived.log)
    assert [event.payload for event in reader.read(0, 100)] == PAYLOADS
    assert [event.payload for event in reader.read(2, 2)] == PAYLOADS[2:4]
    reader.close()


def test_a_log_whose_oldest_segments_are_only_in_the_archive_opens_and_goes_on(
    archived: Archived,
) -> None:
    move(archived)
    with EventLog.open(archived.log) as log:
        assert cached(archived.log) == [], "opening fetches nothing"
        assert log.stream_version("s-0") == 3
        log.append_sync([batch("s-0", b"goes on", expected=3)])
        assert [e.payload for e in log.read_stream("s-1")] == [PAYLOADS[n] for n in (1, 3, 5)]
        assert [e.payload for e in log.read_stream("s-0")][-1] == b"goes on"
        assert [e.payload for e in log.read(0, 3)] == PAYLOADS[:3]


def test_the_index_is_made_anew_through_the_archive(archived: Archived) -> None:
    move(archived)
    shutil.rmtree(archived.log / "index")
    with EventLog.open(archived.log) as log:
        assert (log.stream_version("s-0"), log.stream_version("s-1")) == (3, 2)
        assert [e.payload for e in log.read_stream("s-1")] == [PAYLOADS[n] for n in (1, 3, 5)]


def test_a_reader_that_stands_in_a_segment_goes_on_when_it_is_deleted(on_disk: Archived) -> None:
    reader = LogReader(on_disk.log)
    assert [event.payload for event in reader.read(0, 2)] == PAYLOADS[:2]
    move(on_disk)
    assert [event.payload for event in reader.read(2, 100)] == PAYLOADS[2:]
    assert [event.payload for event in reader.read(0, 100)] == PAYLOADS
    reader.close()


def test_verify_looks_into_the_archive_itself_and_says_what_was_remote(archived: Archived) -> None:
    move(archived)
    payloads(archived.log)  # everything is in the cache
    report = operations.verify(archived.log)
    assert (report.ok, report.events, report.segments) == (True, 7, 7)
    assert report.remote == [f"{base:020d}.seg" for base in range(1, 6)]
    info = operations.info(archived.log)
    assert [row.remote for row in info.segments] == [True] * 5 + [False] * 2


def test_verify_locates_damage_in_the_archive_and_goes_on(on_disk: Archived) -> None:
    move(on_disk)
    payloads(on_disk.log)
    path = folder_of(on_disk) / f"{2:020d}.seg.zst"
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    (folder_of(on_disk) / f"{4:020d}.seg.zst").unlink()
    report = operations.verify(on_disk.log)
    assert not report.ok
    assert [(f.segment, f.position, f.code) for f in report.findings] == [
        (f"{2:020d}.seg.zst", 2, "log-corrupt-archive"),
        (f"{4:020d}.seg.zst", 4, "log-missing-segment"),
    ]
    assert report.events == 5


def test_verify_without_an_archive_that_answers_names_every_segment(on_disk: Archived) -> None:
    move(on_disk)
    shutil.rmtree(folder_of(on_disk))
    report = operations.verify(on_disk.log)
    assert [f.code for f in report.findings] == ["archive-unavailable"] * 5
    assert report.events == 2


def test_a_damaged_object_is_never_read(on_disk: Archived) -> None:
    move(on_disk)
    path = folder_of(on_disk) / f"{2:020d}.seg.zst"
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:10], b"", whole[:60] + b"?" + whole[61:], whole * 2):
        path.write_bytes(damaged)
        reader = LogReader(on_disk.log)
        with pytest.raises(CorruptArchive, match="zst"):
            reader.read(1, 100)
        reader.close()


def test_the_cache_is_bounded_and_the_longest_unused_goes_first(
    on_disk: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(on_disk)
    entry = manifest.load(on_disk.log, 1)
    assert entry is not None
    monkeypatch.setattr(
        cache,
        "load_location",
        lambda directory: msgspec.structs.replace(on_disk.location, cache_mb=1),
    )
    monkeypatch.setattr(SegmentCache, "_make_room", _limited(2 * entry.bytes))
    copies = SegmentCache(on_disk.log)
    for base in (1, 2, 1, 3):
        found = manifest.load(on_disk.log, base)
        assert found is not None
        copies.path(found)
    assert cached(on_disk.log) == [f"{1:020d}.seg", f"{3:020d}.seg"]
    assert payloads(on_disk.log) == PAYLOADS
    assert len(cached(on_disk.log)) == 2


def _limited(limit: int) -> object:
    make_room = SegmentCache._make_room

    def limited(self: SegmentCache, left: int, keep: Path) -> None:
        make_room(self, left - 1024 * 1024 + limit, keep)

    return limited


def test_one_process_keeps_few_evicted_copies_open(on_disk: Archived) -> None:
    move(on_disk)
    with EventLog.open(on_disk.log) as log:
        log.read(0, 100)
        assert 0 < log._reader._opened.fetched() <= 3


def test_half_a_copy_is_never_read_and_is_cleared_away(on_disk: Archived) -> None:
    move(on_disk)
    own = on_disk.log / "archive" / "cache"
    own.mkdir()
    (own / ".killed.part").write_bytes(b"half")
    (own / f"{1:020d}.seg").write_bytes(b"half")
    assert payloads(on_disk.log) == PAYLOADS
    assert not (own / ".killed.part").exists()


def test_after_an_outage_reading_goes_on(
    on_disk: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(on_disk)
    folder = folder_of(on_disk)
    folder.rename(folder.with_name("away"))
    reader = LogReader(on_disk.log)
    with pytest.raises(ArchiveUnavailable):
        reader.read(0, 100)
    folder.with_name("away").rename(folder)
    with pytest.raises(ArchiveUnavailable):
        reader.read(0, 100)  # not every reader waits for a time-out of its own
    monkeypatch.setattr(cache, "_PATIENCE_S", 0.0)
    segment_cache = cache.segment_cache(on_disk.log)
    segment_cache._failure = None
    assert [event.payload for event in reader.read(0, 100)] == PAYLOADS
    reader.close()


def test_a_log_without_its_archive_directory_finds_it_again(archived: Archived) -> None:
    move(archived)
    shutil.rmtree(archived.log / "archive")
    with pytest.raises(MissingSegment, match="rebuild-manifest"):
        EventLog.open(archived.log)
    attach(archived.log, archived.location)
    assert payloads(archived.log) == PAYLOADS
    EventLog.open(archived.log).close()


def test_a_segment_that_is_in_neither_place_is_named(on_disk: Archived) -> None:
    move(on_disk)
    (on_disk.log / "archive" / f"{3:020d}.json").unlink()
    with pytest.raises(MissingSegment) as caught:
        EventLog.open(on_disk.log)
    assert (caught.value.path.name, caught.value.next_position) == (f"{4:020d}.seg", 3)


def test_an_archive_of_another_history_does_not_fit(on_disk: Archived, tmp_path: Path) -> None:
    move(on_disk)
    path = on_disk.log / "archive" / f"{3:020d}.json"
    entry = manifest.load(on_disk.log, 3)
    assert entry is not None
    path.write_bytes(manifest.encode(msgspec.structs.replace(entry, content_hash="00" * 32)))
    with pytest.raises(CorruptSegment, match="does not follow"):
        EventLog.open(on_disk.log)


def test_a_log_that_is_only_in_the_archive_comes_back(archived: Archived, tmp_path: Path) -> None:
    upload(archived.log, archived.store)
    new = tmp_path / "new"
    save_location(new, archived.location)
    assert rebuild_manifest(new, archived.store) == 6
    with EventLog.open(new) as log:
        assert [event.payload for event in log.read(0, 100)] == PAYLOADS[:6]
        log.append_sync([batch("s-0", b"goes on", expected=2)])
    assert operations.verify(new).ok


def test_a_manifest_that_is_ahead_of_a_restored_log_is_not_its_history(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    for segment in list_segments(on_disk.log)[3:]:
        segment.path.unlink()
    (on_disk.log / "watermark").unlink()
    assert [segment.base_position for segment in list_segments(on_disk.log)] == [1, 2, 3]


def test_without_a_place_to_fetch_from_it_says_so(on_disk: Archived) -> None:
    move(on_disk)
    (on_disk.log / "archive" / "store.json").unlink()
    with pytest.raises(ArchiveUnknown, match="KEFU_ARCHIVE_URL"):
        payloads(on_disk.log)


def test_salvage_copies_what_is_in_the_archive_too(on_disk: Archived, tmp_path: Path) -> None:
    move(on_disk)
    (folder_of(on_disk) / f"{4:020d}.seg.zst").write_bytes(b"damaged")
    report = operations.salvage(on_disk.log, tmp_path / "saved")
    assert report.copied_events == 6
    assert {finding.position for finding in report.lost} == {4}


def test_a_backup_holds_what_is_only_in_the_archive_and_fetches_it_once(
    on_disk: Archived, tmp_path: Path
) -> None:
    move(on_disk)
    assert backup(on_disk.log, tmp_path / "backup").copied_segments == 7
    shutil.rmtree(on_disk.log / "archive" / "cache")
    shutil.rmtree(folder_of(on_disk))  # the next backup needs nothing of it
    backup(on_disk.log, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert payloads(tmp_path / "restored") == PAYLOADS


def test_the_scrubber_leaves_the_archive_alone(on_disk: Archived) -> None:
    move(on_disk)
    scrubber = Scrubber(on_disk.log, 1000.0)
    assert scrubber.full_pass(threading.Event())
    assert (scrubber.state.findings, cached(on_disk.log)) == ([], [])
