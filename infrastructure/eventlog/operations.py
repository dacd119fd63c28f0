"""What operators and auditors do with a log that may be damaged or in use: info, verify, export.

All of them read only. `salvage` is in a module of its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from application.ports.event_store import RecordedEvent
from domain.errors import Unavailable
from infrastructure.eventlog import format
from infrastructure.eventlog.archive.errors import ArchiveUnknown
from infrastructure.eventlog.checking import check_open, check_sealed
from infrastructure.eventlog.errors import CorruptLog
from infrastructure.eventlog.frames import BadFrame, Frame, walk
from infrastructure.eventlog.salvage import Finding, SalvageReport, finding_of, salvage
from infrastructure.eventlog.segment import (
    Segment,
    check_chain,
    current_path,
    list_segments,
    read_footer,
    read_header,
    refetch,
    size_of,
)
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.watermark import Watermark, WatermarkReader

__all__ = [
    "Finding",
    "LogInfo",
    "Progress",
    "SalvageReport",
    "SegmentInfo",
    "VerifyReport",
    "durable_end",
    "export",
    "info",
    "salvage",
    "verify",
]

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

_PAGE: Final = 1_000
_PROGRESS_BYTES: Final = 4 * 1024 * 1024


class SegmentInfo(msgspec.Struct, frozen=True):
    """One segment file."""

    name: str
    sealed: bool
    first_position: int
    last_position: int | None
    """None: it is being written."""
    bytes: int
    remote: bool = False
    """It is only in the archive."""


class LogInfo(msgspec.Struct, frozen=True):
    """A log at a glance."""

    directory: str
    durable_position: int
    bytes: int
    segments: list[SegmentInfo]


class VerifyReport(msgspec.Struct, frozen=True):
    """What `verify` saw."""

    ok: bool
    segments: int
    frames: int
    events: int
    last_position: int
    findings: list[Finding]
    remote: list[str] = []
    """Segments that were fetched from the archive, or should have been."""


def info(directory: Path) -> LogInfo:
    """Segments, sizes, position; works on a log in use."""
    segments = list_segments(directory) if directory.is_dir() else []
    rows = []
    for segment in segments:
        path = segment.path if segment.remote else current_path(segment.path)
        last = read_footer(path).last_position if segment.sealed else None
        size, first = size_of(segment), segment.base_position
        rows.append(SegmentInfo(path.name, segment.sealed, first, last, size, segment.remote))
    position = durable_end(directory, segments).position
    return LogInfo(str(directory), position, sum(row.bytes for row in rows), rows)


def durable_end(directory: Path, segments: list[Segment]) -> Watermark:
    """How far the log goes: by its watermark, or, when there is none, by its valid frames."""
    watermark = WatermarkReader(directory)
    try:
        found = watermark.read()
    finally:
        watermark.close()
    if found.segment_base or not segments:
        return found
    last = segments[-1]
    path = current_path(last.path)
    seed = format.frame_seed(read_header(path).uuid)
    end, position = format.SEGMENT_HEADER_BYTES, last.base_position
    with path.open("rb") as file:
        try:
            for frame in walk(file.fileno(), seed, end, None, position):
                end = frame.offset + frame.header.length
                position += frame.header.events
        except BadFrame:
            pass  # a footer or a torn frame: what is before it is what can be read
    return Watermark(position - 1, last.base_position, end)


def export(directory: Path, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
    """Durable events after a position, at most `limit`, to the end as it is now; works on a log
    in use, and without its watermark.

    Raises:
        CorruptLog: what stands there is not what was written.
    """
    segments = list_segments(directory) if directory.is_dir() else []
    upto = durable_end(directory, segments)
    reader = SegmentReader(directory)
    left = upto.position if limit is None else limit
    try:
        while events := reader.read(after, min(_PAGE, left), upto):
            yield from events
            after = events[-1].position
            left -= len(events)
    finally:
        reader.close()


def verify(
    directory: Path,
    progress: Progress = lambda done, total: None,
    visit: Callable[[Frame], None] | None = None,
) -> VerifyReport:
    """Check every frame's checksum and position, every footer and hash, and the chain.

    Args:
        directory: Of the log.
        progress: Is told how far it is.
        visit: Is given each intact frame, in order, and decodes its events instead of us.

    Raises:
        NewerFormat: a newer kefu wrote it.
    """
    segments = list_segments(directory) if directory.is_dir() else []
    try:
        durable = durable_end(directory, segments)
    except CorruptLog:
        durable = Watermark(0, 0, 0)  # not known: a header is damaged, and is found below
    total = sum(size_of(segment) for segment in segments)
    findings: list[Finding] = []
    frames = events = done = last = 0
    try:
        check_chain(segments)
    except CorruptLog as error:
        findings.append(finding_of(error))
    if segments and durable.segment_base > segments[-1].base_position:
        reason = f"the segment that holds position {durable.segment_base} on is gone"
        name = f"{durable.segment_base:020d}"
        findings.append(Finding(name, 0, durable.segment_base, "log-missing-segment", reason))
    for segment in segments:
        try:
            last, told = segment.base_position - 1, 0
            if segment.remote:
                refetch(segment)  # what is in the archive, not what is in the cache
            for frame in _frames(segment, segments, durable, records=visit is None):
                if visit is not None:
                    visit(frame)
                frames += 1
                events += frame.header.events
                last += frame.header.events
                if frame.offset - told >= _PROGRESS_BYTES:
                    told = frame.offset
                    progress(done + told, total)
        except CorruptLog as error:
            finding = finding_of(error)
            if finding not in findings:
                findings.append(finding)
        except (Unavailable, ArchiveUnknown) as error:
            name, first = segment.path.name, segment.base_position
            findings.append(Finding(name, 0, first, error.code, error.detail))
        done += size_of(segment)
        progress(done, total)
    remote = [segment.path.name for segment in segments if segment.remote]
    return VerifyReport(not findings, len(segments), frames, events, last, findings, remote)


def _frames(
    segment: Segment, segments: list[Segment], durable: Watermark, *, records: bool
) -> Iterator[Frame]:
    if segment.sealed:
        return check_sealed(current_path(segment.path), records=records)
    return check_open(segment.path, *_expected_end(segment, segments, durable))


def _expected_end(
    segment: Segment, segments: list[Segment], durable: Watermark
) -> tuple[int | None, int]:
    """Where an open segment's frames should end, and with which position.

    Behind the watermark of a log in use stands what is being written just now, and behind the
    frames of a full segment the footer that is being written.
    """
    following = segments[segments.index(segment) + 1 :]
    if following:
        return None, following[0].base_position - 1
    if durable.segment_base == segment.base_position:
        return durable.end, durable.position
    return None, segment.base_position - 1
