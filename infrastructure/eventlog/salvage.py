"""Copying what is intact of a damaged log into a new log.

Positions, versions and recorded times stay as they were, because positions are cursors in other
systems: lost positions are filled with events of the type `log.lost.v1`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from infrastructure.eventlog import format
from infrastructure.eventlog.active import ActiveSegment
from infrastructure.eventlog.disk import Disk
from infrastructure.eventlog.errors import CorruptLog
from infrastructure.eventlog.format import FrameHeader
from infrastructure.eventlog.frames import BadFrame, Frame
from infrastructure.eventlog.recovery import lock_directory
from infrastructure.eventlog.sealing import seal
from infrastructure.eventlog.segment import (
    Segment,
    current_path,
    list_segments,
    read_footer,
    read_header,
    size_of,
)
from infrastructure.eventlog.writer import MAX_SEGMENT_BYTES

LOST_STREAM: Final = "log-lost"
LOST_TYPE: Final = "log.lost.v1"
_MAX_FILLER: Final = 10_000
_FIRST_HASH: Final = bytes(32)
_UUID_AT: Final = slice(16, 32)

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written."""

    segment: str
    offset: int
    position: int
    """The first position that is not intact."""
    code: str
    reason: str


class SalvageReport(msgspec.Struct, frozen=True):
    """What `salvage` copied, and what it could not."""

    copied_events: int
    lost: list[Finding]


def finding_of(error: CorruptLog) -> Finding:
    """A located error as a line of a report."""
    return Finding(error.path.name, error.offset, error.next_position, error.code, error.reason)


def salvage(
    directory: Path, target: Path, progress: Progress = lambda done, total: None
) -> SalvageReport:
    """Copy every intact frame of a damaged log into a new log, byte for byte.

    Raises:
        FileExistsError: the target holds something.
    """
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    segments = list_segments(directory)
    total = sum(size_of(segment) for segment in segments)
    lost: list[Finding] = []
    done = 0
    lock = lock_directory(target)
    copy = _Copy(target)
    try:
        for segment in segments:
            try:
                _copy_segment(segment, copy, lost)
            except CorruptLog as error:  # of the archive's copy
                lost.append(finding_of(error))
            done += size_of(segment)
            progress(done, total)
    finally:
        copy.close()
        os.close(lock)
    return SalvageReport(copy.events, lost)


def _copy_segment(segment: Segment, copy: "_Copy", lost: list[Finding]) -> None:
    name = segment.path.name
    promised = None
    if segment.sealed:
        try:
            promised = read_footer(segment.path).last_position + 1
        except CorruptLog as error:
            lost.append(finding_of(error))
    at = format.SEGMENT_HEADER_BYTES
    for header, offset, blob in _intact(segment, lost):
        if header.base_position < copy.next_position:
            reason = f"positions from {header.base_position} on are there twice"
            lost.append(Finding(name, offset, header.base_position, CorruptLog.code, reason))
            continue
        if header.base_position > copy.next_position:
            lost.append(_gap(name, at, copy.next_position, header.base_position))
            copy.fill(header.base_position, header.timestamp_us)
        copy.add(header, blob)
        at = offset + header.length
    if promised is not None and promised > copy.next_position:
        lost.append(_gap(name, at, copy.next_position, promised))
    elif not segment.sealed and any(current_path(segment.path).read_bytes()[at:]):
        reason = "bytes behind the last intact frame: a torn frame, or a damaged one"
        lost.append(Finding(name, at, copy.next_position, CorruptLog.code, reason))


def _gap(name: str, offset: int, first: int, following: int) -> Finding:
    reason = f"positions {first} to {following - 1} are not intact"
    return Finding(name, offset, first, CorruptLog.code, reason)


def _intact(segment: Segment, lost: list[Finding]) -> Iterator[tuple[FrameHeader, int, bytes]]:
    """Header, offset and records of all frames that pass their own checks, wherever they stand."""
    data = current_path(segment.path).read_bytes()
    try:
        uuid = read_header(segment.path).uuid
    except CorruptLog as error:
        lost.append(finding_of(error))
        uuid = data[_UUID_AT]  # it may be the one thing of the header that is intact
    seed = format.frame_seed(uuid)
    at = 0
    while (at := data.find(format.FRAME_MAGIC, at)) >= 0:
        try:
            header = format.check_frame(data, at, seed)
        except format.InvalidBytes:
            at += 1
            continue
        # A position takes 16 bytes and more: one that is further on than that is none of ours, and
        # the gap before it would be filled without end.
        passed = (at - format.SEGMENT_HEADER_BYTES) // format.RECORD_HEADER_BYTES
        first = segment.base_position
        if not first <= header.base_position <= first + passed or not _decodes(data, at, header):
            at += 1
            continue
        yield header, at, data[at + format.FRAME_HEADER_BYTES : at + header.length - 4]
        at += header.length


def _decodes(data: bytes, at: int, header: FrameHeader) -> bool:
    try:
        return sum(1 for _ in Frame(at, header, data, at).records()) == header.events
    except BadFrame:
        return False


class _Copy:
    """The new log: frames as they were, under the checksums of new segments."""

    def __init__(self, directory: Path) -> None:
        self.events = 0
        self.next_position = 1
        self._lost_version = 0
        self._disk = Disk()
        self._directory = directory
        self._active = ActiveSegment.create(directory, 1, _FIRST_HASH, self._disk)

    def add(self, header: FrameHeader, blob: bytes) -> None:
        self._write(header.events, header.timestamp_us, [blob])
        self.events += header.events

    def fill(self, following: int, timestamp_us: int) -> None:
        """Stand-ins for all positions before `following`."""
        name, kind = LOST_STREAM.encode(), LOST_TYPE.encode()
        while self.next_position < following:
            count = min(_MAX_FILLER, following - self.next_position)
            parts: list[bytes] = []
            for _ in range(count):
                pack = format.pack_record_header
                parts += (pack(2, self._lost_version, len(name), len(kind), 2), name, kind)
                parts += (b"{}", b"{}")
                self._lost_version += 1
            self._write(count, timestamp_us, parts)

    def close(self) -> None:
        self._active.close()

    def _write(self, events: int, timestamp_us: int, parts: list[bytes]) -> None:
        if self._active.end >= MAX_SEGMENT_BYTES:
            full = self._active
            digest = full.content_hash()
            self._active = ActiveSegment.create(
                self._directory, self.next_position, digest, self._disk
            )
            full.close()
            seal(full.path, full.end, digest, self._disk)
        frame, _ = format.encode_frame(
            self._active.seed, self.next_position, events, timestamp_us, parts
        )
        self._active.append([frame], timestamp_us)
        self.next_position += events
