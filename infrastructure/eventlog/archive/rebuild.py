"""The manifest from the store, for a log whose own is lost, or that is restored from nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

from infrastructure.eventlog.archive import manifest
from infrastructure.eventlog.archive.archiver import describe
from infrastructure.eventlog.archive.compression import (
    InvalidCompression,
    decompress,
    unhurried,
)
from infrastructure.eventlog.archive.errors import CorruptArchive, ObjectNotFound
from infrastructure.eventlog.archive.location import Location, open_store, save_location
from infrastructure.eventlog.archive.manifest import (
    ArchivedSegment,
    InvalidManifest,
    archive_directory,
    archived_bases,
)
from infrastructure.eventlog.archive.object_store import ObjectInfo, ObjectStore
from infrastructure.eventlog.segment import list_segments

Progress = Callable[[int, int], None]
"""Called with (segments done, segments in all)."""


def attach(directory: Path, location: Location) -> None:
    """Remember where a log's archive is. If the log does not begin here, and its manifest does
    not say where it does, make the manifest anew.

    Raises:
        ArchiveUnavailable, CorruptArchive: that was not possible.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_location(directory, location)
    segments = list_segments(directory)
    if segments and segments[0].base_position != 1:
        rebuild_manifest(directory, open_store(location))


def rebuild_manifest(
    directory: Path, store: ObjectStore, progress: Progress = lambda done, total: None
) -> int:
    """Make a log's manifest anew from the store: from the manifests there, and from a segment
    itself where its manifest is missing or damaged.

    Returns:
        Number of archived segments.

    Raises:
        ArchiveUnavailable: the store does not answer.
        CorruptArchive: an object is no segment, and there is no manifest of it.
    """
    found = [info for info in store.list() if _is_segment(info.key)]
    for number, info in enumerate(found):
        entry = _from_manifest(store, info) or _from_segment(directory, store, info)
        manifest.save(directory, entry)
        progress(number + 1, len(found))
    return len(archived_bases(directory))


def _is_segment(key: str) -> bool:
    stem, _, suffix = key.partition(".")
    return suffix == "seg.zst" and stem.isdigit() and len(stem) == 20


def _from_manifest(store: ObjectStore, info: ObjectInfo) -> ArchivedSegment | None:
    base = int(info.key.partition(".")[0])
    try:
        data = b"".join(store.get(f"{base:020d}.json"))
        return manifest.decode(data, base)
    except (ObjectNotFound, InvalidManifest):
        return None


def _from_segment(directory: Path, store: ObjectStore, info: ObjectInfo) -> ArchivedSegment:
    base = int(info.key.partition(".")[0])
    folder = archive_directory(directory) / "rebuild"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
    folder.mkdir(mode=0o700, parents=True)
    path = folder / manifest.segment_name(base)
    try:
        with path.open("wb") as file:
            for piece in decompress(store.get(info.key)):
                file.write(piece)
        return describe(path, unhurried(), info.size)
    except InvalidCompression as error:
        reason = f"object in {store.url} is damaged: {error}"
        raise CorruptArchive(directory / info.key, 0, base, reason) from error
    finally:
        shutil.rmtree(folder)
