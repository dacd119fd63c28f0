"""A segment counts as archived when the store has given it back, and never before."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.eventlog.archive import manifest
from infrastructure.eventlog.archive.archiver import only_archiver, upload, waiting
from infrastructure.eventlog.archive.directory_store import DirectoryStore
from infrastructure.eventlog.archive.errors import (
    ArchiveBusy,
    ArchiveConflict,
    ArchiveUnavailable,
    CorruptArchive,
)
from infrastructure.eventlog.archive.rebuild import rebuild_manifest
from infrastructure.eventlog.archive.stats import ArchiveStats
from infrastructure.eventlog.errors import CorruptSegment
from infrastructure.eventlog.segment import list_segments
from tests.infrastructure.eventlog.archive.conftest import Archived, fill


def entries(directory: Path) -> list[manifest.ArchivedSegment | None]:
    return [manifest.load(directory, base) for base in manifest.archived_bases(directory)]


def test_every_sealed_segment_is_archived_once(archived: Archived) -> None:
    stats, seen = ArchiveStats(), []
    done = upload(
        archived.log,
        archived.store,
        stats=stats,
        progress=lambda at, total: seen.append((at, total)),
    )
    sealed = [segment for segment in list_segments(archived.log) if segment.sealed]
    assert [entry.name for entry in done] == [segment.path.name for segment in sealed]
    assert len(done) == stats.segments == 6
    assert seen[-1][0] == seen[-1][1] == stats.bytes
    keys = {info.key for info in archived.store.list()}
    assert keys == {f"{base:020d}{end}" for base in range(1, 7) for end in (".seg.zst", ".json")}
    assert stats.stored_bytes == sum(
        info.size for info in archived.store.list() if info.key.endswith(".zst")
    )
    assert upload(archived.log, archived.store) == []


def test_a_second_archiver_is_refused(on_disk: Archived) -> None:
    with only_archiver(on_disk.log), pytest.raises(ArchiveBusy), only_archiver(on_disk.log):
        pass
    with only_archiver(on_disk.log):
        pass


def test_the_manifest_can_be_made_anew_from_the_store(archived: Archived) -> None:
    upload(archived.log, archived.store)
    before = entries(archived.log)
    shutil.rmtree(manifest.archive_directory(archived.log))
    assert waiting(archived.log)
    assert rebuild_manifest(archived.log, archived.store) == 6
    assert entries(archived.log) == before


def test_the_manifest_can_be_made_anew_from_the_segments_alone(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    before = entries(on_disk.log)
    shutil.rmtree(manifest.archive_directory(on_disk.log))
    folder = Path(on_disk.location.url.removeprefix("file://"))
    for number, path in enumerate(sorted(folder.glob("*.json"))):
        path.write_bytes(b"{}") if number % 2 else path.unlink()
    assert rebuild_manifest(on_disk.log, on_disk.store) == 6
    assert entries(on_disk.log) == before


def test_a_damaged_manifest_is_refused_and_says_what_to_do(on_disk: Archived) -> None:
    upload(on_disk.log, on_disk.store)
    path = manifest.archive_directory(on_disk.log) / f"{3:020d}.json"
    data = bytearray(path.read_bytes())
    for at in range(len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CorruptSegment, match="rebuild-manifest"):
            manifest.load(on_disk.log, 3)
    rebuild_manifest(on_disk.log, on_disk.store)
    assert path.read_bytes() == data


def test_a_segment_that_is_damaged_here_is_not_archived(on_disk: Archived) -> None:
    path = list_segments(on_disk.log)[2].path
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(CorruptSegment, match="not archived") as caught:
        upload(on_disk.log, on_disk.store)
    assert caught.value.path == path
    assert manifest.archived_bases(on_disk.log) == [1, 2]
    assert not on_disk.store.exists(f"{path.name}.zst")


def test_the_archive_of_another_log_is_never_mixed_up_with_ours(
    archived: Archived, tmp_path: Path
) -> None:
    fill(tmp_path / "other")
    (tmp_path / "other" / "archive").mkdir()
    upload(tmp_path / "other", archived.store)
    before = {info.key: b"".join(archived.store.get(info.key)) for info in archived.store.list()}
    with pytest.raises(CorruptArchive, match="not the segment"):
        upload(archived.log, archived.store)
    assert manifest.archived_bases(archived.log) == []
    assert len([s for s in list_segments(archived.log) if not s.remote]) == 7
    after = {info.key: b"".join(archived.store.get(info.key)) for info in archived.store.list()}
    assert after == before


def test_a_manifest_in_the_store_that_says_something_else_is_a_conflict(
    on_disk: Archived, tmp_path: Path
) -> None:
    (tmp_path / "false").write_bytes(b"{}")
    on_disk.store.put(f"{1:020d}.json", tmp_path / "false")
    with pytest.raises(ArchiveConflict):
        upload(on_disk.log, on_disk.store)
    assert manifest.archived_bases(on_disk.log) == []


class LosingStore(DirectoryStore):
    """A failing store: what it gives back is not what it was given."""

    def __init__(self, directory: Path, change: str) -> None:
        super().__init__(directory)
        self._change = change

    def get(self, key: str) -> Iterator[bytes]:
        data = b"".join(super().get(key))
        match self._change:
            case "flipped":
                yield data[:60] + bytes([data[60] ^ 1]) + data[61:]
            case "cut":
                yield data[:-20]
            case "empty":
                yield b""
            case _:
                yield data
                raise ArchiveUnavailable("the store went away")


@pytest.mark.parametrize("change", ["flipped", "cut", "empty"])
def test_what_does_not_come_back_as_it_was_is_not_archived(on_disk: Archived, change: str) -> None:
    folder = Path(on_disk.location.url.removeprefix("file://"))
    with pytest.raises(CorruptArchive, match="position 0"):
        upload(on_disk.log, LosingStore(folder, change))
    assert manifest.archived_bases(on_disk.log) == []
    # It may have been the way back only: with a good one it goes on where it was.
    assert len(upload(on_disk.log, on_disk.store)) == 6


def test_a_store_that_goes_away_leaves_everything_as_it_was(on_disk: Archived) -> None:
    folder = Path(on_disk.location.url.removeprefix("file://"))
    with pytest.raises(ArchiveUnavailable):
        upload(on_disk.log, LosingStore(folder, "gone"))
    assert manifest.archived_bases(on_disk.log) == []
    shutil.rmtree(folder)
    with pytest.raises(ArchiveUnavailable):
        upload(on_disk.log, on_disk.store)
    assert len([s for s in list_segments(on_disk.log) if not s.remote]) == 7
    assert not list((on_disk.log / "archive").glob("upload-*"))
