"""Opening what is there: lock, check, cut off a torn tail, never skip.

The torn-tail rule: bytes are cut only where the failure is in the last segment and no valid frame
of a later group commit follows: pages reach the disk in any order, so of the group that was being
written any part may be there. What is cut is kept beside it as `.torn`. Anything else refuses to
start.
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from infrastructure.eventlog import format
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.errors import CorruptFrame, CorruptSegment, LogLocked, MissingSegment
from infrastructure.eventlog.frames import BadFrame, walk
from infrastructure.eventlog.sealing import seal, sync_directory
from infrastructure.eventlog.segment import (
    NEW_SUFFIX,
    Segment,
    check_chain,
    list_segments,
    open_path,
    read_footer,
    read_header,
)
from infrastructure.eventlog.watermark import FILE_NAME as WATERMARK_FILE
from infrastructure.eventlog.watermark import Watermark, WatermarkReader

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
    cut: int
    """Bytes of a torn frame that were cut off and kept as `.torn`; 0: it ended cleanly."""
    missing: int
    """Events that the watermark says were acknowledged and that are not there any more."""


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


def recover(directory: Path, disk: Disk) -> tuple[list[Segment], Tail | None]:
    """Check the chain, finish interrupted sealing, find the end of the last segment and cut a
    torn tail off it.

    The watermark says what was acknowledged. It is never trusted to say where frames are, only
    asked whether what would be cut off or is not there had been acknowledged.

    Returns:
        All segments, and the tail when the last one is not sealed.

    Raises:
        CorruptLog: and its kinds; nothing was changed, but for finished sealing.
    """
    watermark = WatermarkReader(directory)
    durable = watermark.read()
    watermark.close()
    segments = list_segments(directory)
    sync_directory(directory)  # a killed writer's last renames may still be in memory only
    for segment in segments:
        read_header(segment.path)
    check_chain(segments)
    if durable.segment_base > (segments[-1].base_position if segments else 0):
        raise MissingSegment(
            open_path(directory, durable.segment_base),
            0,
            durable.segment_base,
            "is gone, and events in it may have been acknowledged. Put it back, or remove the"
            f" file {WATERMARK_FILE} to go on without it",
        )
    segments = _finish_sealing(segments, disk)
    for leftover in directory.glob(f"*{NEW_SUFFIX}"):
        leftover.unlink()
    if not segments or segments[-1].sealed:
        return segments, None
    return segments, _recover_tail(segments[-1], durable)


def last_timestamp_us(segments: list[Segment], tail: Tail | None) -> int:
    """Of the log's last frame, 0: it has none. Recorded times go on from it."""
    if tail is not None and tail.last_timestamp_us:
        return tail.last_timestamp_us
    sealed = [segment for segment in segments if segment.sealed]
    return read_footer(sealed[-1].path).last_timestamp_us if sealed else 0


def _finish_sealing(segments: list[Segment], disk: Disk) -> list[Segment]:
    """Seal every segment but the last, where a crash came between.

    Raises:
        CorruptFrame: such a segment's frames do not reach to the next segment.
        CorruptSegment: its content is not what the next segment follows.
    """
    done = segments[-1:]
    for segment in reversed(segments[:-1]):
        following = done[0]  # under the name that it has by now
        if not segment.sealed:
            end, digest = content(segment.path, following.base_position)
            if digest != read_header(following.path).previous_hash:
                reason = f"{following.path.name} does not follow it: another history"
                raise CorruptSegment(segment.path, end, segment.base_position, reason)
            segment = Segment(seal(segment.path, end, digest, disk), segment.base_position, True)
        done.insert(0, segment)
    return done


def content(path: Path, next_base: int) -> tuple[int, bytes]:
    """Where the frames of a full segment end, and the hash of everything before.

    Raises:
        CorruptFrame: they do not reach to the next segment.
    """
    seed = format.frame_seed(read_header(path).uuid)
    position, end = int(path.stem), format.SEGMENT_HEADER_BYTES
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for frame in walk(fd, seed, end, os.fstat(fd).st_size, position):
            end = frame.offset + frame.header.length
            position = frame.header.base_position + frame.header.events
            if position >= next_base:
                break
        if position != next_base:
            raise BadFrame(end, position, f"ends before position {next_base}")
        digest: bytes = _hash(fd, end).digest()
    except BadFrame as bad:
        raise CorruptFrame(path, bad.offset, bad.next_position, bad.reason) from bad
    finally:
        os.close(fd)
    return end, digest


def _recover_tail(segment: Segment, durable: Watermark) -> Tail:
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
        missing = max(0, durable.position - position + 1)
        if missing and durable.segment_base == segment.base_position:
            _refuse_damage(segment.path, fd, end, position, durable)
        cut = _cut(segment.path, fd, seed, end, position, reason)
        os.fdatasync(fd)  # a killed writer's last frames may still be in memory only
        return Tail(segment, end, position, last_us, first_us, _hash(fd, end), cut, missing)
    finally:
        os.close(fd)


def _refuse_damage(path: Path, fd: int, end: int, position: int, durable: Watermark) -> None:
    """Tell damage from a tear: an acknowledged frame that is there to its last byte was whole
    once, and cutting it off would lose events that somebody was promised.

    A file that ends before (a copy of a log in use, a disk that lied) is a tear; what it lacks is
    in `Tail.missing`.
    """
    there = end < durable.end <= os.fstat(fd).st_size
    if there and any(os.pread(fd, 4, durable.end - 4)):
        reason = f"damaged; events up to position {durable.position} were acknowledged"
        raise CorruptFrame(path, end, position, reason)


def _cut(path: Path, fd: int, seed: int, end: int, position: int, reason: str) -> int:
    """Cut what stands behind `end`, unless a later group is among it; how many bytes it was."""
    rest = _read_all(fd, end)
    # Without the reserved zeros, but with those that may end a frame.
    used = rest[: len(rest.rstrip(b"\x00")) + 8] if any(rest) else b""
    if used:
        later = _find_frame(rest, seed, position)
        if later is not None:
            offset, at = later
            detail = f"{reason}; a valid frame with position {at} follows at byte {end + offset}"
            raise CorruptFrame(path, end, position, detail)
        torn = path.with_name(path.name + TORN_SUFFIX)
        torn_fd = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(torn_fd, "wb") as file:
            file.write(used)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    if rest:
        os.ftruncate(fd, end)
    return len(used)


def _find_frame(data: bytes, seed: int, position: int) -> tuple[int, int] | None:
    """Offset and base position of a valid frame of this segment anywhere in the bytes with which a
    group commit begins: everything before it was on disk when it was written.
    """
    at = data.find(format.FRAME_MAGIC)
    while at >= 0:
        try:
            header = format.check_frame(data, at, seed)
        except format.InvalidBytes:
            pass
        else:
            if header.base_position >= position and not header.continues:
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
