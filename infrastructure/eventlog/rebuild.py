"""Bringing the index up to date with the log: from its checkpoint, or from nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.frames import BadFrame, Frame, walk
from infrastructure.eventlog.index import Checkpoint, Index
from infrastructure.eventlog.segment import (
    Segment,
    current_path,
    list_segments,
    read_footer,
    read_header,
)
from infrastructure.eventlog.table import Run
from infrastructure.eventlog.watermark import Watermark

_BATCH_EVENTS: Final = 200_000

Progress = Callable[[int, int], None]
"""Called with (positions done, positions in all)."""


def bring_up_to_date(
    directory: Path,
    index: Index,
    log_uuid: bytes,
    durable: Watermark,
    progress: Progress = lambda done, total: None,
) -> None:
    """Index everything up to the watermark; begin anew if the index does not fit the log.

    Raises:
        CorruptLog: what the index must be built from is not what was written.
    """
    segments = list_segments(directory)
    fitting = index.checkpoints()
    while fitting and not _fits(segments, fitting[-1], log_uuid, durable):
        fitting.pop()
    index.cut(len(fitting))
    checkpoint = fitting[-1] if fitting else None
    builder = _Builder(index, log_uuid, checkpoint.last + 1 if checkpoint else 1)
    for number, segment in enumerate(segments):
        following = segments[number + 1].base_position if number + 1 < len(segments) else None
        if checkpoint and following is not None and following <= checkpoint.last + 1:
            continue
        _index_segment(segment, checkpoint, durable, builder)
        progress(builder.position, durable.position)
    builder.finish()


def _fits(
    segments: list[Segment], checkpoint: Checkpoint, log_uuid: bytes, durable: Watermark
) -> bool:
    """Whether the frame that the checkpoint names is in the log, byte for byte."""
    if checkpoint.log_uuid != log_uuid or checkpoint.last > durable.position:
        return False
    for segment in segments:
        if segment.base_position == checkpoint.segment_base:
            with current_path(segment.path).open("rb") as file:
                file.seek(checkpoint.frame_offset)
                data = file.read(format.FRAME_HEADER_BYTES)
            try:
                header = format.decode_frame_header(data, 0)
            except format.InvalidBytes:
                return False
            last = header.base_position + header.events - 1
            return header.crc == checkpoint.frame_crc and last == checkpoint.last
    return False


def _index_segment(
    segment: Segment, checkpoint: Checkpoint | None, durable: Watermark, builder: "_Builder"
) -> None:
    offset, position = format.SEGMENT_HEADER_BYTES, segment.base_position
    end = read_footer(segment.path).content_end if segment.sealed else durable.end
    seed = format.frame_seed(read_header(segment.path).uuid)
    with current_path(segment.path).open("rb") as file:
        if checkpoint is not None and checkpoint.segment_base == segment.base_position:
            file.seek(checkpoint.frame_offset)
            header = format.decode_frame_header(file.read(format.FRAME_HEADER_BYTES), 0)
            offset = checkpoint.frame_offset + header.length
            position = checkpoint.last + 1
        try:
            for frame in walk(file.fileno(), seed, offset, end, position):
                builder.add(segment.base_position, frame)
        except BadFrame as bad:
            raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad


class _Builder:
    """Collects entries and writes them in large sorted batches."""

    def __init__(self, index: Index, log_uuid: bytes, first: int) -> None:
        self.position = first - 1
        self._first = first
        self._index = index
        self._log_uuid = log_uuid
        self._streams: dict[str, list[Run]] = {}
        self._waiting = 0
        self._checkpoint: Checkpoint | None = None

    def add(self, segment_base: int, frame: Frame) -> None:
        header, offset = frame.header, frame.offset
        position, previous = header.base_position, ""
        for number, (stream, version, record) in enumerate(frame.versions()):
            runs = self._streams.setdefault(stream, [])
            if stream == previous:
                first, count, start, _, first_record = runs[-1]
                if version == first + count:
                    runs[-1] = (first, count + 1, start, offset, first_record)
                    continue
            runs.append((version, 1, position + number, offset, record))
            previous = stream
        self._waiting += header.events
        self.position = header.base_position + header.events - 1
        self._checkpoint = Checkpoint(
            self._log_uuid, self._first, self.position, segment_base, offset, header.crc
        )
        if self._waiting >= _BATCH_EVENTS:
            self.finish()

    def finish(self) -> None:
        if self._checkpoint is not None and self._waiting:
            self._index.add(self._streams.items(), self._checkpoint)
            self._streams, self._waiting = {}, 0
            self._first = self.position + 1
