"""What a backup of a log consists of: the file `backup.json`."""

from pathlib import Path
from typing import Final

import msgspec

from infrastructure.eventlog.errors import NewerFormat, WrongBackup

MANIFEST: Final = "backup.json"
LOG_DIRECTORY: Final = "log"
FORMAT: Final = 1


class BackupFile(msgspec.Struct, frozen=True):
    """One segment of a backup."""

    name: str
    bytes: int
    """That belong to the backup; an unsealed segment may be longer."""
    sha256: str
    """Of these bytes, in hex."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup consists of."""

    format: int
    log: str
    """UUID of the log's first segment, in hex."""
    position: int
    """Of the last event in it."""
    segment_base: int
    end: int
    """Offset in that segment at which the frames end."""
    made_us: int
    """When the watermark was read, in us since 1970."""
    files: list[BackupFile]
    """In order of position; empty: a first backup that was not finished."""


def read_manifest(backup: Path) -> Manifest | None:
    """What a directory says that it consists of; None: it is no backup.

    Raises:
        WrongBackup: the file is not readable as one.
        NewerFormat: a newer kefu made it.
    """
    path = backup / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as error:
        raise WrongBackup(f"{path} can't be read: {error}") from error
    if manifest.format > FORMAT:
        raise NewerFormat(path, manifest.format, FORMAT)
    return manifest


def another_history(target: Path, reason: str) -> WrongBackup:
    """The error that says that a backup and a log are not the same log any more."""
    return WrongBackup(
        f"{target} is a backup of another history of this log: {reason}. It is left as it is;"
        " give another directory"
    )
