"""Opening what is there: lock, check, cut off a torn tail, never skip.

The torn-tail rule: bytes are cut only where the failure is in the last segment and no valid frame
follows; what is cut is kept beside it as `.torn`. Anything else refuses to start.
"""

import fcntl
import hashlib
import itertools
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, LogLocked
from infrastructure.eventlog.sealing import seal
from infrastructure.eventlog.segment import (
    BadFrame,
    Segment,
    check_chain,
    list_segments,
    read_header,
    walk,
)

LOCK_FILE: Final = "lock"
TORN_SUFFIX: Final = ".torn"
_CHUNK: Final = 4 * 1024 * 1024


class Tail(NamedTuple):
    """State of the last segment after recovery."""

    segment: Segment
    end: int
    """Offset behind its last valid frame."""
    next_position: int
    last_timestamp_us: int
    first_timestamp_us: int
    """Of its first frame; 0: it has none."""
    content_hash: Any
    """SHA-256 over the content up to `end`, ready to go on."""


def lock_directory(directory: Path) -> int:
    """Become the only writer.

    Returns:
        A descriptor that holds the lock until it is closed.

    Raises:
        LogLocked: another process is the writer.
    """
    fd = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise LogLocked(directory, pid) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def recover(directory: Path) -> tuple[list[Segment], Tail | None]:
    """Check the chain, find the end of the last segment and cut a torn tail off it.

    Returns:
        All segments, and the tail when the last one is not sealed.

    Raises:
        CorruptLog: and its kinds; nothing was changed.
    """
    segments = list_segments(directory)
    for segment in segments:
        read_header(segment.path)
    check_chain(segments)
    if not segments or segments[-1].sealed:
        return segments, None
    return segments, _recover_tail(segments[-1])


def reseal(directory: Path) -> None:
    """Finish sealing that a crash interrupted: every segment but the last.

    Raises:
        CorruptFrame: such a segment's frames do not reach to the next segment.
    """
    for segment, following in itertools.pairwise(list_segments(directory)):
        if segment.sealed:
            continue
        seed = format.frame_seed(read_header(segment.path).uuid)
        position, end = segment.base_position, format.SEGMENT_HEADER_BYTES
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for frame in walk(fd, seed, end, 1 << 62, position):
                end = frame.offset + frame.header.length
                position = frame.header.base_position + frame.header.events
                if position >= following.base_position:
                    break
            digest = _hash(fd, end).digest()
        except BadFrame as bad:
            raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad
        finally:
            os.close(fd)
        seal(segment.path, end, digest)


def _recover_tail(segment: Segment) -> Tail:
    header = read_header(segment.path)
    seed = format.frame_seed(header.uuid)
    fd = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = format.SEGMENT_HEADER_BYTES
        position, first_us, last_us = segment.base_position, 0, 0
        try:
            for frame in walk(fd, seed, end, None, position):
                end = frame.offset + frame.header.length
                position = frame.header.base_position + frame.header.events
                last_us = frame.header.timestamp_us
                first_us = first_us or last_us
            reason = "bytes behind the last frame"
        except BadFrame as bad:
            reason = bad.reason
        _cut(segment.path, fd, seed, end, position, reason)
        os.fdatasync(fd)  # a killed writer's last frames may still be in memory only
        return Tail(segment, end, position, last_us, first_us, _hash(fd, end))
    finally:
        os.close(fd)


def _cut(path: Path, fd: int, seed: int, end: int, position: int, reason: str) -> None:
    """Cut what stands behind `end`, unless a valid frame is among it."""
    rest = _read_all(fd, end)
    if any(rest):
        later = _find_frame(rest, seed, position)
        if later is not None:
            offset, at = later
            detail = f"{reason}; a valid frame with position {at} follows at byte {end + offset}"
            raise CorruptFrame(path, end, position, detail)
        torn = path.with_name(path.name + TORN_SUFFIX)
        with torn.open("ab") as file:
            # Without the reserved zeros, but with those that may end a frame.
            file.write(rest[: len(rest.rstrip(b"\x00")) + 8])
            file.flush()
            os.fsync(file.fileno())
    if rest:
        os.ftruncate(fd, end)


def _find_frame(data: bytes, seed: int, position: int) -> tuple[int, int] | None:
    """Offset and base position of a valid frame of this segment anywhere in the bytes."""
    at = data.find(format.FRAME_MAGIC)
    while at >= 0:
        try:
            header = format.check_frame(data, at, seed)
        except format.InvalidBytes:
            pass
        else:
            if header.base_position >= position:
                return at, header.base_position
        at = data.find(format.FRAME_MAGIC, at + 1)
    return None


def _read_all(fd: int, offset: int) -> bytes:
    parts: list[bytes] = []
    while chunk := os.pread(fd, _CHUNK, offset):
        parts.append(chunk)
        offset += len(chunk)
    return b"".join(parts)


def _hash(fd: int, end: int) -> Any:
    digest = hashlib.sha256()
    offset = 0
    while offset < end:
        chunk = os.pread(fd, min(_CHUNK, end - offset), offset)
        digest.update(chunk)
        offset += len(chunk)
    return digest
