"""Sealing a full segment: footer, fsync, rename, fsync of the directory, read-only.

It runs beside the writer, which has gone on in the next segment. If it is interrupted anywhere,
recovery does it again from the frames.
"""

import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from infrastructure.eventlog import format
from infrastructure.eventlog.disk import Disk, is_full
from infrastructure.eventlog.disk import sync_directory as sync_directory
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.format import Footer, StreamIndex
from infrastructure.eventlog.frames import BadFrame, walk
from infrastructure.eventlog.segment import read_header, sealed_path

_RETRY_S: Final = 5.0


class Sealer:
    """Seals segments, each in a thread of its own; waits for space on a full disk."""

    def __init__(self, disk: Disk, failed: Callable[[Exception], object]) -> None:
        self._disk = disk
        self._failed = failed
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(
        self,
        path: Path,
        end: int,
        content_hash: bytes,
        footer: tuple[Footer, StreamIndex] | None,
        done: Callable[[Path], None],
    ) -> None:
        """Begin to seal, as `seal` does; `done` is called with its new path, or `failed`."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        work = partial(seal, path, end, content_hash, self._disk, footer)
        thread = threading.Thread(target=self._run, args=(work, done), name="log-sealer")
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Wait for what has begun; what waits for space is left to the next start."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], Path], done: Callable[[Path], None]) -> None:
        while True:
            try:
                done(work())
                return
            except OSError as error:
                if not is_full(error):
                    self._failed(error)
                    return
            except Exception as error:  # noqa: BLE001 - shown in health output and to every caller
                self._failed(error)
                return
            if self._closing.wait(_RETRY_S):
                return


def seal(
    path: Path,
    end: int,
    content_hash: bytes,
    disk: Disk,
    known: tuple[Footer, StreamIndex] | None = None,
) -> Path:
    """Seal a segment whose frames end at `end`.

    Args:
        path: Of the open segment.
        end: Offset behind its last frame.
        content_hash: SHA-256 of everything before.
        disk: System calls.
        known: The footer, when the writer has counted along; None: it is counted from the file.

    Returns:
        Its new path.

    Raises:
        CorruptFrame: its frames are not what was written.
        OSError: it is not sealed; it may be tried again unless flushing failed.
    """
    footer, streams = known or _footer(path, end, content_hash)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, end)
        disk.write(fd, [format.encode_footer(footer, streams)], end)
        disk.flush(fd)
        os.fchmod(fd, stat.S_IRUSR)
    finally:
        os.close(fd)
    target = sealed_path(path)
    path.rename(target)
    sync_directory(path.parent)
    return target


def make_directory(directory: Path) -> None:
    """Make a directory and its parents, durably: a log is as durable as the way to it."""
    if not directory.parent.exists():
        make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    # Also when it was there: whoever made it may have been killed before this.
    with suppress(PermissionError):  # of a parent that others keep
        sync_directory(directory.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a small file anew, durably: after a crash it is the old or the new one, and whole.

    Raises:
        OSError: the old one is there as it was.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            Disk().write(fd, [data], 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _footer(path: Path, end: int, content_hash: bytes) -> tuple[Footer, StreamIndex]:
    header = read_header(path)
    base, seed = header.base_position, format.frame_seed(header.uuid)
    streams: StreamIndex = {}
    position, timestamp = base, 0
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for frame in walk(fd, seed, format.SEGMENT_HEADER_BYTES, end, base):
            for event in frame.records():
                known = streams.get(event.stream)
                number = known[1] + 1 if known else 1
                streams[event.stream] = (event.version, number)
            position += frame.header.events
            timestamp = frame.header.timestamp_us
    except BadFrame as bad:
        raise CorruptFrame(path, bad.offset, bad.next_position, bad.reason) from bad
    finally:
        os.close(fd)
    footer = Footer(position - base, base, position - 1, end, timestamp, content_hash, len(streams))
    return footer, streams
