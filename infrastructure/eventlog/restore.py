"""Making a log directory from a backup."""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from infrastructure.eventlog.backup_manifest import (
    LOG_DIRECTORY,
    MANIFEST,
    BackupFile,
    Manifest,
    read_manifest,
)
from infrastructure.eventlog.checking import check_sealed
from infrastructure.eventlog.copying import copy_file, digests, sync_file
from infrastructure.eventlog.errors import CorruptSegment, WrongBackup
from infrastructure.eventlog.operations import verify
from infrastructure.eventlog.sealing import sync_directory
from infrastructure.eventlog.segment import OPEN_SUFFIX
from infrastructure.eventlog.watermark import FILE_NAME as WATERMARK_FILE
from infrastructure.eventlog.watermark import Watermark, WatermarkWriter

STAGING_SUFFIX: Final = ".restoring"

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class RestoreReport(msgspec.Struct, frozen=True):
    """What `restore` did."""

    directory: str
    position: int
    """Of the last event that is there now."""
    segments: int
    bytes: int
    made_us: int
    """When the backup was made, in us since 1970."""


def restore(
    backup: Path, directory: Path, progress: Progress = lambda done, total: None
) -> RestoreReport:
    """Copy a backup beside the place of the log, check every byte there, then put it in place.

    Args:
        backup: A directory that `kefu log backup` made; it is only read.
        directory: Of the log to be; missing or empty.
        progress: Is told how far it is.

    Raises:
        FileExistsError: there is a log.
        WrongBackup: it is no backup, or its files together are no log.
        CorruptLog: a file is not what was backed up; located.
        OSError: for example, there is not enough space; there is no log then.
    """
    manifest = read_manifest(backup)
    if manifest is None:
        raise WrongBackup(f"{backup} is no backup: it has no {MANIFEST}")
    if not manifest.files:
        raise WrongBackup(f"{backup} is a first backup that was not finished; there is none yet")
    if directory.exists() and any(directory.iterdir()):
        raise FileExistsError(f"{directory} holds a log, and a restored one does not replace it")
    staging = directory.with_name(directory.name + STAGING_SUFFIX)
    shutil.rmtree(staging, ignore_errors=True)  # of a restore that was interrupted
    staging.mkdir(mode=0o700, parents=True)
    size = sum(file.bytes for file in manifest.files)
    try:
        free = shutil.disk_usage(staging).free
        if free < size:
            reason = f"{size:,} bytes are needed and {free:,} are free"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, {reason}", str(staging))
        _fill(backup, staging, manifest, progress)
        staging.rename(directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_directory(directory.parent)
    return RestoreReport(
        str(directory), manifest.position, len(manifest.files), size, manifest.made_us
    )


def _fill(backup: Path, staging: Path, manifest: Manifest, progress: Progress) -> None:
    total = 3 * sum(file.bytes for file in manifest.files)  # hashed, copied, checked
    done = 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    for file in manifest.files:
        _copy(backup / LOG_DIRECTORY / file.name, staging / file.name, file, step)
    writer = WatermarkWriter(staging)
    try:
        writer.publish(Watermark(manifest.position, manifest.segment_base, manifest.end))
    finally:
        writer.close()
    sync_file(staging / WATERMARK_FILE)
    sync_directory(staging)
    before = done
    report = verify(staging, lambda checked, _: progress(before + checked, total))
    if report.findings or report.last_position != manifest.position:
        where = report.findings[0] if report.findings else None
        found = f"position {report.last_position}"
        what = f"{where.segment} at byte {where.offset}: {where.reason}" if where else found
        raise WrongBackup(f"what {backup} holds is no whole log: {what}")


def _copy(source: Path, target: Path, file: BackupFile, step: Callable[[int], object]) -> None:
    if not source.exists():
        raise WrongBackup(f"{source} is missing")
    if digests(source, None, file.bytes, step).whole != file.sha256:
        sealed = source.suffix != OPEN_SUFFIX
        for _ in check_sealed(source, records=False) if sealed else ():
            pass  # says where
        raise CorruptSegment(source, 0, int(source.stem), f"does not have its hash in {MANIFEST}")
    copy_file(source, target, file.bytes, step)
    if source.suffix != OPEN_SUFFIX:
        target.chmod(stat.S_IRUSR)
