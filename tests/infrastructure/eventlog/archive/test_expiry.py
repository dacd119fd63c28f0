"""What is deleted here is archived, intact there, out of policy, and needed by nobody."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from infrastructure.eventlog.archive.archiver import upload
from infrastructure.eventlog.archive.errors import (
    ArchiveConflict,
    ArchiveUnavailable,
    CorruptArchive,
)
from infrastructure.eventlog.archive.expiry import ExpiryReport, expire
from infrastructure.eventlog.archive.rebuild import rebuild_manifest
from infrastructure.eventlog.archive.stats import ArchiveStats
from infrastructure.eventlog.errors import MissingSegment
from infrastructure.eventlog.retention import (
    CursorRegistry,
    RetentionPolicy,
    cursor_files,
    write_cursor,
)
from infrastructure.eventlog.segment import list_segments
from tests.infrastructure.eventlog.archive.conftest import Archived, fill

ALL = RetentionPolicy(segments=1, hours=0, free_bytes=0)
END = 7


def run(
    archived: Archived,
    policy: RetentionPolicy = ALL,
    cursors: CursorRegistry | None = None,
    *,
    dry_run: bool = False,
    free: int = 10**9,
    stats: ArchiveStats | None = None,
) -> ExpiryReport:
    return expire(
        archived.log,
        archived.store,
        policy,
        cursors or CursorRegistry({}),
        lambda: END,
        dry_run=dry_run,
        free=lambda directory: free,
        stats=stats,
    )


def local(archived: Archived) -> list[int]:
    """Base positions of the sealed segments that are here."""
    segments = list_segments(archived.log)
    return [s.base_position for s in segments if s.sealed and not s.remote]


def test_so_many_of_the_newest_stay(archived: Archived) -> None:
    upload(archived.log, archived.store)
    report = run(archived, RetentionPolicy(segments=2, hours=0, free_bytes=0))
    assert local(archived) == [5, 6]
    assert report.deleted == [f"{base:020d}.seg" for base in (1, 2, 3, 4)]
    assert report.kept == "one of the newest segments"
    assert run(archived, RetentionPolicy(segments=9, hours=0, free_bytes=0)).deleted == []


def test_young_ones_stay_until_the_disk_gets_full(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    policy = RetentionPolicy(segments=2, hours=1, free_bytes=1000)
    report = run(on_disk, policy, free=1000)
    assert (local(on_disk), report.deleted) == ([1, 2, 3, 4, 5, 6], [])
    assert report.kept == "its events are younger than 1 h"
    run(on_disk, policy, free=999)
    assert local(on_disk) == [5, 6], "even then the newest stay"


def test_what_is_not_archived_stays(on_disk: Archived) -> None:
    report = run(on_disk)
    assert (local(on_disk), report.kept) == ([1, 2, 3, 4, 5, 6], "not archived yet")


def test_a_dry_run_says_what_would_go_and_touches_nothing(on_disk: Archived) -> None:
    report = run(on_disk, dry_run=True)
    assert (report.deleted, report.dry_run) == ([f"{n:020d}.seg" for n in range(1, 6)], True)
    sizes = [segment.path.stat().st_size for segment in list_segments(on_disk.log)[:5]]
    assert report.freed_bytes == sum(sizes)
    assert local(on_disk) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("position", "left"), [(0, 1), (2, 3), (3, 4), (7, 6)])
def test_what_a_cursor_still_needs_stays(on_disk: Archived, position: int, left: int) -> None:
    upload(on_disk.log, on_disk.store)
    cursors = CursorRegistry({"views": lambda: {"a": 7, "b": position}})
    report = run(on_disk, cursors=cursors)
    assert local(on_disk)[0] == left
    assert report.cursors == {"views/a": 7, "views/b": position}
    if position < 7:
        assert report.kept == f"needed by views/b, which is at position {position}"


def test_a_file_holds_segments_back_until_it_moves(on_disk: Archived, tmp_path: Path) -> None:
    upload(on_disk.log, on_disk.store)
    cursors = CursorRegistry({"cursors": cursor_files(tmp_path / "cursors")})
    write_cursor(tmp_path / "cursors", "mirror", 2)
    write_cursor(tmp_path / "cursors", "webhook", 4)
    assert run(on_disk, cursors=cursors).kept == "needed by cursors/mirror, which is at position 2"
    write_cursor(tmp_path / "cursors", "mirror", 7)
    assert run(on_disk, cursors=cursors).kept == "needed by cursors/webhook, which is at position 4"
    assert local(on_disk) == [5, 6]


def _broken() -> Mapping[str, int]:
    raise ArchiveUnavailable("the database does not answer")


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"3 4", b"1\n\n", b"9" * 20, b"8", None])
def test_a_cursor_that_makes_no_sense_holds_everything_back(
    on_disk: Archived, tmp_path: Path, content: bytes | None
) -> None:
    upload(on_disk.log, on_disk.store)
    (tmp_path / "cursors").mkdir()
    path, stats = tmp_path / "cursors" / "unknown", ArchiveStats()
    path.mkdir() if content is None else path.write_bytes(content)
    report = run(
        on_disk, cursors=CursorRegistry({"cursors": cursor_files(path.parent)}), stats=stats
    )
    assert (local(on_disk), report.deleted) == ([1, 2, 3, 4, 5, 6], [])
    assert "nothing is deleted" in (report.kept or "")
    assert stats.blocked == report.kept


def test_a_source_that_does_not_answer_holds_everything_back(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    report = run(on_disk, cursors=CursorRegistry({"views": _broken, "good": lambda: {"x": 7}}))
    assert "views: the database does not answer" in (report.kept or "")
    assert local(on_disk) == [1, 2, 3, 4, 5, 6]


def test_no_name_of_a_cursor_leads_out_of_its_directory(tmp_path: Path) -> None:
    for name in ("../x", ".x", "a/b", ""):
        with pytest.raises(ValueError, match="cursor"):
            write_cursor(tmp_path, name, 1)


def test_a_segment_that_rotted_in_the_archive_stays_here(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    path = Path(on_disk.location.url.removeprefix("file://")) / f"{3:020d}.seg.zst"
    data = bytearray(path.read_bytes())
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CorruptArchive):
            run(on_disk)
        assert local(on_disk) == [3, 4, 5, 6]
    path.unlink()
    with pytest.raises(MissingSegment, match="archive"):
        run(on_disk)
    path.write_bytes(data)
    run(on_disk)
    assert local(on_disk) == [6]


def test_an_archive_that_does_not_answer_keeps_everything_here(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    shutil.rmtree(on_disk.location.url.removeprefix("file://"))
    with pytest.raises(ArchiveUnavailable):
        run(on_disk)
    assert local(on_disk) == [1, 2, 3, 4, 5, 6]


def test_a_manifest_of_another_history_deletes_nothing(on_disk: Archived, tmp_path: Path) -> None:
    fill(tmp_path / "other")
    (tmp_path / "other" / "archive").mkdir()
    upload(tmp_path / "other", on_disk.store)
    rebuild_manifest(on_disk.log, on_disk.store)
    with pytest.raises(ArchiveConflict):
        run(on_disk)
    assert local(on_disk) == [1, 2, 3, 4, 5, 6]
