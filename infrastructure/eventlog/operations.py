"""What operators and auditors do with a log that may be damaged or in use: info, verify, salvage.

All of them read only; `salvage` writes into another directory.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from application.ports.event_store import ANY_VERSION, NewEvent, RecordedEvent, StreamAppend
from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptLog
from infrastructure.eventlog.segment import (
    BadFrame,
    Segment,
    check_chain,
    list_segments,
    read_footer,
    read_header,
    walk,
)
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.watermark import WatermarkReader

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

_CHUNK: Final = 4 * 1024 * 1024
_SALVAGE_BATCH: Final = 500


class SegmentInfo(msgspec.Struct, frozen=True):
    """One segment file."""

    name: str
    sealed: bool
    first_position: int
    last_position: int | None
    """None: it is being written."""
    bytes: int


class LogInfo(msgspec.Struct, frozen=True):
    """A log at a glance."""

    directory: str
    durable_position: int
    bytes: int
    segments: list[SegmentInfo]


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written."""

    segment: str
    offset: int
    position: int
    """The first position that is not intact."""
    code: str
    reason: str


class VerifyReport(msgspec.Struct, frozen=True):
    """What `verify` saw."""

    ok: bool
    segments: int
    frames: int
    events: int
    last_position: int
    findings: list[Finding]


class SalvageReport(msgspec.Struct, frozen=True):
    """What `salvage` copied, and what it could not."""

    copied_events: int
    lost: list[Finding]


def info(directory: Path) -> LogInfo:
    """Segments, sizes, position; works on a log in use."""
    segments = list_segments(directory) if directory.is_dir() else []
    watermark = WatermarkReader(directory)
    rows = [
        SegmentInfo(
            segment.path.name,
            segment.sealed,
            segment.base_position,
            read_footer(segment.path).last_position if segment.sealed else None,
            segment.path.stat().st_size,
        )
        for segment in segments
    ]
    try:
        position = watermark.read().position
    finally:
        watermark.close()
    return LogInfo(str(directory), position, sum(row.bytes for row in rows), rows)


def verify(directory: Path, progress: Progress = lambda done, total: None) -> VerifyReport:
    """Check every frame's checksum and position, every footer and hash, and the chain."""
    segments = list_segments(directory)
    total = sum(segment.path.stat().st_size for segment in segments)
    findings: list[Finding] = []
    frames = events = done = 0
    try:
        check_chain(segments)
    except CorruptLog as error:
        findings.append(_finding(error))
    watermark = WatermarkReader(directory)
    durable = watermark.read()
    watermark.close()
    for segment in segments:
        # Behind the watermark of a log in use stands what is being written just now.
        live_end = durable.end if durable.segment_base == segment.base_position else None
        try:
            for count in _check_segment(segment, live_end):
                frames += 1
                events += count
        except CorruptLog as error:
            findings.append(_finding(error))
        done += segment.path.stat().st_size
        progress(done, total)
    last = segments[0].base_position + events - 1 if segments else 0
    return VerifyReport(not findings, len(segments), frames, events, last, findings)


def salvage(
    directory: Path, target: Path, progress: Progress = lambda done, total: None
) -> SalvageReport:
    """Copy every intact frame of a damaged log into a new log.

    Positions after a loss are new ones; what was lost is in the report.

    Raises:
        FileExistsError: the target holds something.
    """
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty")
    segments = list_segments(directory)
    total = sum(segment.path.stat().st_size for segment in segments)
    lost: list[Finding] = []
    copied = done = 0
    with EventLog.open(target) as log:
        for segment in segments:
            batch: list[RecordedEvent] = []
            for event in _intact(segment, lost):
                batch.append(event)
                if len(batch) >= _SALVAGE_BATCH:
                    copied += _copy(log, batch)
                    batch = []
            copied += _copy(log, batch)
            done += segment.path.stat().st_size
            progress(done, total)
    return SalvageReport(copied, lost)


def _check_segment(segment: Segment, live_end: int | None) -> Iterator[int]:
    """Number of events of each frame.

    Raises:
        CorruptLog: located.
    """
    path = segment.path
    header = read_header(path)
    footer = read_footer(path) if segment.sealed else None
    end = footer.content_end if footer else live_end
    seed = format.frame_seed(header.uuid)
    digest = hashlib.sha256()
    next_position = header.base_position
    with path.open("rb") as file:
        digest.update(file.read(format.SEGMENT_HEADER_BYTES))
        try:
            start = format.SEGMENT_HEADER_BYTES
            for frame in walk(file.fileno(), seed, start, end, next_position):
                content = frame.data[frame.data_offset : frame.data_offset + frame.header.length]
                digest.update(content)
                next_position += frame.header.events
                yield frame.header.events
        except BadFrame as bad:
            raise CorruptLog(path, bad.offset, bad.next_position, bad.reason) from bad
    if footer is not None and digest.digest() != footer.content_hash:
        reason = "content does not have the hash in the footer"
        raise CorruptLog(path, footer.content_end, header.base_position, reason)
    if footer is not None and next_position != footer.last_position + 1:
        reason = f"ends with position {next_position - 1}, footer says {footer.last_position}"
        raise CorruptLog(path, footer.content_end, next_position, reason)


def _intact(segment: Segment, lost: list[Finding]) -> Iterator[RecordedEvent]:
    """Events of all frames that pass their own checks, wherever they stand."""
    path = segment.path
    try:
        seed = format.frame_seed(read_header(path).uuid)
    except CorruptLog as error:
        lost.append(_finding(error))
        return
    data = path.read_bytes()
    at, expected = format.SEGMENT_HEADER_BYTES, segment.base_position
    while (at := data.find(format.FRAME_MAGIC, at)) >= 0:
        try:
            header = format.check_frame(data, at, seed)
        except format.InvalidBytes:
            at += 1
            continue
        if header.base_position != expected:
            reason = f"positions {expected} to {header.base_position - 1} are not intact"
            lost.append(Finding(path.name, at, expected, "log-corrupt-frame", reason))
        yield from format.decode_records(data, at, header)
        expected = header.base_position + header.events
        at += header.length


def _copy(log: EventLog, events: list[RecordedEvent]) -> int:
    """Append events to their streams, in order; versions close the gaps of what was lost."""
    batches = [
        [
            StreamAppend(
                event.stream,
                ANY_VERSION,
                [NewEvent(event.type, event.payload, event.metadata)],
            )
        ]
        for event in events
    ]
    if batches:
        log.append_sync(batches)
    return len(batches)


def _finding(error: CorruptLog) -> Finding:
    return Finding(error.path.name, error.offset, error.next_position, error.code, error.reason)
