"""Which store a log's archive is in: a small file beside the manifest.

The file makes a data directory complete: every process that reads the log finds what is only in
the archive, and so does an auditor with a copy. It holds no credentials.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from infrastructure.eventlog.archive.directory_store import DirectoryStore
from infrastructure.eventlog.archive.errors import ArchiveUnknown
from infrastructure.eventlog.archive.files import write_durably
from infrastructure.eventlog.archive.manifest import archive_directory
from infrastructure.eventlog.archive.object_store import ObjectStore

DEFAULT_CACHE_MB: Final = 1024
_FILE: Final = "store.json"


class Location(msgspec.Struct, frozen=True):
    """A store, and how much of it may be kept locally for reading."""

    url: str
    """`file:///path` or `s3://bucket/prefix`."""
    endpoint: str | None = None
    """Of an S3-compatible store; None: AWS."""
    region: str | None = None
    cache_mb: int = DEFAULT_CACHE_MB


@lru_cache(maxsize=16)
def open_store(location: Location) -> ObjectStore:
    """The store at a location; connects when it is first used.

    Raises:
        ValueError: it is no URL of a store.
    """
    parts = urlsplit(location.url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return DirectoryStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc and "@" not in parts.netloc:
        # Only here: importing it takes longer than the start of a role.
        from infrastructure.eventlog.archive.s3_store import S3Store

        return S3Store(parts.netloc, parts.path, endpoint=location.endpoint, region=location.region)
    raise ValueError("an archive is file:///path or s3://bucket/prefix")


def save_location(directory: Path, location: Location) -> None:
    """Remember where the archive of a log is."""
    if load_location(directory) != location:
        write_durably(archive_directory(directory) / _FILE, msgspec.json.encode(location))


def load_location(directory: Path) -> Location | None:
    """Where the archive of a log is; None: it has none.

    Raises:
        ArchiveUnknown: the file that says so is damaged.
    """
    path = archive_directory(directory) / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Location)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ArchiveUnknown(f"{path} is damaged; set KEFU_ARCHIVE_URL and restart") from error
