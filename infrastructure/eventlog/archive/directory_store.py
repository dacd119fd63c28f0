"""`ObjectStore` over a directory: another disk, or a mounted network file system."""

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from infrastructure.eventlog.archive.errors import (
    ArchiveConflict,
    ArchiveUnavailable,
    ObjectNotFound,
)
from infrastructure.eventlog.archive.object_store import CHUNK_BYTES, ObjectInfo, check_key
from infrastructure.eventlog.disk import sync_directory

_PART: Final = ".part-"
_STALE_S: Final = 24 * 3600
"""A half-written file this old belongs to nobody any more."""


class DirectoryStore:
    """One file an object. The directory must exist: a mount that is missing is not an archive."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def url(self) -> str:
        """As `ObjectStore.url`."""
        return self._directory.as_uri()

    def put(self, key: str, source: Path) -> None:
        """As `ObjectStore.put`."""
        target = self._directory / check_key(key)
        with self._available():
            self._remove_stale_parts()
            part = self._copy(source)
            try:
                # Fails if the name exists, which a rename would not.
                os.link(part, target)
            except FileExistsError:
                if not _same(source, target):
                    raise ArchiveConflict(self.url, key) from None
            finally:
                part.unlink()
            sync_directory(self._directory)

    def get(self, key: str) -> Iterator[bytes]:
        """As `ObjectStore.get`."""
        path = self._directory / check_key(key)
        with self._available():
            try:
                file = path.open("rb")
            except FileNotFoundError:
                self._require_directory()
                raise ObjectNotFound(self.url, key) from None
            with file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

    def list(self) -> Iterator[ObjectInfo]:
        """As `ObjectStore.list`."""
        with self._available():
            found = [
                ObjectInfo(entry.name, entry.stat().st_size)
                for entry in os.scandir(self._directory)
                if entry.is_file() and not entry.name.startswith(".")
            ]
        yield from sorted(found)

    def exists(self, key: str) -> bool:
        """As `ObjectStore.exists`."""
        with self._available():
            self._require_directory()
            return (self._directory / check_key(key)).is_file()

    def _require_directory(self) -> None:
        if not self._directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def _copy(self, source: Path) -> Path:
        """The bytes, on disk, under a name that no key has."""
        fd, name = tempfile.mkstemp(prefix=_PART, dir=self._directory)
        try:
            with open(fd, "wb") as part, source.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    part.write(chunk)
                part.flush()
                os.fsync(part.fileno())
        except BaseException:
            os.unlink(name)
            raise
        return Path(name)

    def _remove_stale_parts(self) -> None:
        for part in self._directory.glob(f"{_PART}*"):
            with suppress(FileNotFoundError):  # its owner was done with it meanwhile
                if part.stat().st_mtime < time.time() - _STALE_S:
                    part.unlink()

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise ArchiveUnavailable(f"The archive {self.url} can't be used: {reason}") from error


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while (chunk := left.read(CHUNK_BYTES)) == right.read(CHUNK_BYTES):
            if not chunk:
                return True
    return False
