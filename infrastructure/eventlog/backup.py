"""A consistent copy of a log that is being written, into a directory that can be added to.

::

    TARGET/
      backup.json    what the backup consists of: written last, so that it is the old or the new one
      log/           a log directory of its own: sealed segments, what is not sealed, the watermark
      partial/       what is being copied; names appear in log/ whole and checked

The durable watermark is read first, and nothing behind it is copied: everything before it never
changes again, so the copy is a prefix of the log without stopping the writer. Positions, hashes
and bytes stay as they are. A backup is never changed into one of another history.
"""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec

from infrastructure.eventlog.backup_manifest import (
    FORMAT,
    LOG_DIRECTORY,
    MANIFEST,
    BackupFile,
    Manifest,
    another_history,
    read_manifest,
)
from infrastructure.eventlog.checking import check_open, check_sealed
from infrastructure.eventlog.copying import Digests, copy_file, digests, sync_file
from infrastructure.eventlog.errors import CorruptLog, CorruptSegment, WrongBackup
from infrastructure.eventlog.operations import durable_end
from infrastructure.eventlog.recovery import content, lock_directory
from infrastructure.eventlog.sealing import replace_file, sync_directory
from infrastructure.eventlog.segment import (
    OPEN_SUFFIX,
    Segment,
    check_chain,
    current_path,
    list_segments,
    open_path,
    read_footer,
    read_footer_streams,
    read_header,
    sealed_path,
    size_of,
)
from infrastructure.eventlog.watermark import FILE_NAME as WATERMARK_FILE
from infrastructure.eventlog.watermark import Watermark, WatermarkWriter

_PARTIAL: Final = "partial"

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class BackupReport(msgspec.Struct, frozen=True):
    """What `backup` did."""

    directory: str
    position: int
    segments: int
    bytes: int
    copied_segments: int
    """The others were there already, and intact."""
    copied_bytes: int


def backup(
    directory: Path, target: Path, progress: Progress = lambda done, total: None
) -> BackupReport:
    """Copy a log, in use or not, or add to an earlier backup of it what it lacks.

    Args:
        directory: Of the log.
        target: Made if missing; empty, or a backup of this log.
        progress: Is told how far it is.

    Raises:
        FileExistsError: the target holds something else.
        WrongBackup: it is a backup of another log, or of another history of this one.
        LogLocked: another process is writing this backup.
        CorruptLog: the log is not what was written; the backup is as it was before.
        OSError: a disk failed or is full; the backup is as it was before.
    """
    upto = durable_end(directory, list_segments(directory))
    made_us = time.time_ns() // 1000
    listed = list_segments(directory)
    segments = [
        found
        for found in listed
        if found.base_position <= upto.segment_base
        # What is only in the archive, and in the backup already, is not fetched again.
        and not (found.remote and (target / LOG_DIRECTORY / found.path.name).exists())
    ]
    if not segments:
        raise WrongBackup(f"{directory} holds no log")
    with _target(directory, target, segments) as before:
        if before.position > upto.position:
            raise another_history(target, f"it ends with position {before.position}")
        copy = _Copy(directory, target, before, progress)
        files = copy.run(segments, upto)
        _publish(target, upto)
        manifest = Manifest(FORMAT, before.log, *upto, made_us, files)
        _commit(target, manifest)
    size = sum(file.bytes for file in files)
    return BackupReport(
        str(target), upto.position, len(files), size, copy.segments, copy.copied_bytes
    )


@contextmanager
def _target(directory: Path, target: Path, segments: list[Segment]) -> Iterator[Manifest]:
    """Hold the target; what it is a backup of so far."""
    before = read_manifest(target)
    if before is None and target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} is neither empty nor a backup of this log")
    uuid = before.log if before is not None else ""
    if segments[0].base_position == 1:
        found = read_header(current_path(segments[0].path)).uuid.hex()
        if uuid not in ("", found):
            raise WrongBackup(f"{target} is a backup of another log than {directory}")
        uuid = found
    elif before is None:
        check_chain(segments)  # says what is missing
    log = target / LOG_DIRECTORY
    log.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = lock_directory(log)
    try:
        if before is None:
            before = Manifest(FORMAT, uuid, 0, 0, 0, 0, [])
            replace_file(target / MANIFEST, msgspec.json.encode(before))
        shutil.rmtree(target / _PARTIAL, ignore_errors=True)
        (target / _PARTIAL).mkdir(mode=0o700)
        yield before
    finally:
        shutil.rmtree(target / _PARTIAL, ignore_errors=True)
        os.close(lock)


class _Copy:
    """Brings the segments of a backup up to date."""

    def __init__(self, directory: Path, target: Path, before: Manifest, progress: Progress) -> None:
        self.segments = 0
        self.copied_bytes = 0
        self._directory = directory
        self._target = target
        self._log = target / LOG_DIRECTORY
        self._partial = target / _PARTIAL
        self._before = {file.name: file for file in before.files}
        self._progress = progress
        self._done = self._total = 0

    def run(self, segments: list[Segment], upto: Watermark) -> list[BackupFile]:
        """All files that the backup consists of then, checked, and durable in `log/`."""
        sizes = [size_of(segment) for segment in segments[:-1]]
        self._total = 2 * (sum(sizes) + upto.end)  # each is copied and read back
        kept = self._kept(segments)
        files = [self._kept_file(path) for path in kept]
        following = [segment.base_position for segment in segments[1:]]
        for segment, next_base in zip_longest(segments, following):
            files.append(self._file(segment, next_base, upto))
        paths = [self._log / file.name for file in files]
        check_chain([Segment(path, int(path.stem), path.suffix != OPEN_SUFFIX) for path in paths])
        sync_directory(self._log)
        self._progress(self._total, self._total)
        return files

    def _kept(self, segments: list[Segment]) -> list[Path]:
        """Segments of the backup that the log's directory no longer has (they are archived).

        Raises:
            WrongBackup: it never had them.
        """
        bases = {segment.base_position for segment in segments}
        paths = [self._log / name for name in self._before]
        kept = sorted(path for path in paths if int(path.stem) not in bases)
        for path in kept:
            if int(path.stem) > segments[0].base_position or path.suffix == OPEN_SUFFIX:
                raise another_history(self._target, f"it has {path.name}")
        return kept

    def _kept_file(self, path: Path) -> BackupFile:
        for _ in check_sealed(path, records=False):
            pass
        known = self._before[path.name]
        if digests(path, None, known.bytes).whole != known.sha256:
            raise CorruptSegment(path, 0, int(path.stem), f"does not have its hash in {MANIFEST}")
        return known

    def _file(self, segment: Segment, next_base: int | None, upto: Watermark) -> BackupFile:
        while True:
            path = current_path(segment.path)
            try:
                if next_base is None:
                    return self._open(path, upto.end, upto.position)
                if path == sealed_path(path):
                    return self._sealed(path)
                return self._open(path, content(path, next_base)[0], next_base - 1)
            except FileNotFoundError:
                if path == sealed_path(path) or not sealed_path(path).exists():
                    raise
                # It was sealed between two looks at it.

    def _sealed(self, source: Path) -> BackupFile:
        size, footer = source.stat().st_size, read_footer(source)
        known = self._before.get(open_path(self._directory, int(source.stem)).name)
        if known is not None:
            self._require_prefix(source, known)
        there = self._log / source.name
        if there.exists() and (found := self._intact(there)) is not None:
            if read_footer(there) == footer and there.stat().st_size == size:
                return BackupFile(there.name, size, found.whole)
            raise another_history(self._target, f"its {there.name} is another one")
        part = self._partial / source.name
        self._copied(source, part, size)
        copied = digests(part, footer.content_end, size, self._step)
        if copied.content != footer.content_hash:
            for _ in check_sealed(source):  # says where, if it is the source
                pass
            raise CorruptSegment(part, 0, int(part.stem), "the copy is not what was copied")
        read_footer_streams(part)
        part.chmod(stat.S_IRUSR)
        part.rename(there)
        return BackupFile(there.name, size, copied.whole)

    def _open(self, source: Path, end: int, last: int) -> BackupFile:
        """What is durable of a segment that is not sealed, or was not when the backup began."""
        name = open_path(self._directory, int(source.stem)).name
        if (self._log / sealed_path(Path(name)).name).name in self._before:
            raise another_history(self._target, f"in it, {name} is sealed")
        known = self._before.get(name)
        if known is not None:
            self._require_prefix(source, known)
        part = self._partial / name
        self._copied(source, part, end)
        for frame in check_open(part, end, last):
            self._step(frame.header.length)
        # As far as the backup before knows this name, it stays what it was: a prefix of this.
        part.rename(self._log / name)
        return BackupFile(name, end, digests(self._log / name, None, end).whole)

    def _require_prefix(self, source: Path, known: BackupFile) -> None:
        """An unsealed segment of the backup is the beginning of this one."""
        if source.stat().st_size < known.bytes or (
            digests(source, None, known.bytes).whole != known.sha256
        ):
            for _ in check_sealed(source, records=False) if source == sealed_path(source) else ():
                pass
            raise another_history(self._target, f"its {known.name} is not the beginning of ours")

    def _intact(self, path: Path) -> Digests | None:
        """Hashes of a sealed segment in the backup; None: it is not what it was."""
        try:
            footer = read_footer(path)
            read_footer_streams(path)
        except CorruptLog:
            return None
        size = path.stat().st_size
        found = digests(path, footer.content_end, size, lambda step: self._step(2 * step))
        return found if found.content == footer.content_hash else None

    def _copied(self, source: Path, part: Path, size: int) -> None:
        part.unlink(missing_ok=True)
        copy_file(source, part, size, self._step)
        self.segments += 1
        self.copied_bytes += size

    def _step(self, size: int) -> None:
        self._done += size
        self._progress(min(self._done, self._total), self._total)


def _publish(target: Path, upto: Watermark) -> None:
    """The copy's own watermark."""
    writer = WatermarkWriter(target / _PARTIAL)
    try:
        writer.publish(upto)
    finally:
        writer.close()
    path = target / _PARTIAL / WATERMARK_FILE
    sync_file(path)
    path.rename(target / LOG_DIRECTORY / WATERMARK_FILE)
    sync_directory(target / LOG_DIRECTORY)


def _commit(target: Path, manifest: Manifest) -> None:
    replace_file(target / MANIFEST, msgspec.json.encode(manifest))
    names = {file.name for file in manifest.files}
    for segment in list_segments(target / LOG_DIRECTORY):
        if segment.path.name not in names:
            segment.path.unlink()  # the unsealed one of before: it is sealed by now
