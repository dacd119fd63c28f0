"""Sealing a full segment: footer, fsync, rename, fsync of the directory, read-only.

It runs beside the writer, which has gone on in the next segment. If it is interrupted anywhere,
recovery does it again from the frames.
"""

import os
import stat
from pathlib import Path

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.format import Footer
from infrastructure.eventlog.segment import BadFrame, read_header, sealed_path, walk


def seal(path: Path, end: int, content_hash: bytes) -> Path:
    """Seal a segment whose frames end at `end`.

    Returns:
        Its new path.

    Raises:
        CorruptFrame: its frames are not what was written.
    """
    header = read_header(path)
    footer = _footer(path, format.frame_seed(header.uuid), header.base_position, end, content_hash)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, end)
        os.pwrite(fd, format.encode_footer(footer), end)
        os.fsync(fd)
        os.fchmod(fd, stat.S_IRUSR | stat.S_IRGRP)
    finally:
        os.close(fd)
    target = sealed_path(path)
    path.rename(target)
    sync_directory(path.parent)
    return target


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _footer(path: Path, seed: int, base: int, end: int, content_hash: bytes) -> Footer:
    streams: dict[str, tuple[int, int]] = {}
    position = base
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for frame in walk(fd, seed, format.SEGMENT_HEADER_BYTES, end, base):
            for event in frame.records():
                known = streams.get(event.stream)
                number = known[1] + 1 if known else 1
                streams[event.stream] = (event.version, number)
                position = event.position + 1
    except BadFrame as bad:
        raise CorruptFrame(path, bad.offset, bad.next_position, bad.reason) from bad
    finally:
        os.close(fd)
    return Footer(position - base, base, position - 1, end, content_hash, streams)
