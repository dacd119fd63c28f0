"""Copying a file's bytes to another disk and reading them back."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from infrastructure.eventlog.disk import Disk

_CHUNK: Final = 4 * 1024 * 1024

Step = Callable[[int], object]
"""Called with the number of bytes that were done since the last call."""


class Digests(NamedTuple):
    """SHA-256 of a file."""

    content: bytes
    """Over the bytes before the footer."""
    whole: str
    """Over all of it, in hex."""


def copy_file(source: Path, target: Path, size: int, step: Step = lambda size: None) -> None:
    """Copy the first bytes of a file and return when they are on disk.

    They are written anew: a hard link or a reflink would share the blocks that a backup is
    there to survive.

    Raises:
        OSError: the target is not there, or not whole.
    """
    disk = Disk()
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            at = 0
            while at < size:
                chunk = os.pread(reading, min(_CHUNK, size - at), at)
                if not chunk:
                    break  # whoever checks the copy says what is missing
                disk.write(writing, [chunk], at)
                at += len(chunk)
                step(len(chunk))
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def digests(
    path: Path, content_end: int | None, size: int, step: Step = lambda size: None
) -> Digests:
    """Hashes of a file's first bytes, from the disk where that can be had.

    Args:
        path: Of the file.
        content_end: Where the footer begins; None: there is none.
        size: How many bytes of it count.
        step: Is told how far it is.
    """
    end = size if content_end is None else content_end
    digest, at = hashlib.sha256(), 0
    content = b""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        forget_cached(fd)
        while at < size:
            until = end if at < end else size
            chunk = os.pread(fd, min(_CHUNK, until - at), at)
            if not chunk:
                break
            digest.update(chunk)
            at += len(chunk)
            step(len(chunk))
            if at == end:
                content = digest.digest()
    finally:
        os.close(fd)
    return Digests(content, digest.hexdigest())


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def forget_cached(fd: int) -> None:
    """Let what is read next come from the disk: the page cache may hold what the disk has not."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
