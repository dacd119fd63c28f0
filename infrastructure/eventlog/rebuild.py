"""Bringing the index up to date with the log: from its checkpoint, or from nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.frames import BadFrame, Frame, walk
from infrastructure.eventlog.index import Checkpoint, Index, new_key
from infrastructure.eventlog.segment import (
    Segment,
    current_path,
    list_segments,
    read_footer,
    read_header,
    sealed_path,
)
from infrastructure.eventlog.table import pack_entry
from infrastructure.eventlog.watermark import Watermark

_BATCH_EVENTS: Final = 200_000
_PARTS: Final = 256
"""By the first byte of the key: each part is sorted by itself, in less than a millisecond, and no
other thread waits longer for its turn."""

Progress = Callable[[int, int], None]
"""Called with (positions done, positions in all)."""

Turn = Callable[[], None]
"""Called between frames; may rest, or raise to stop."""


def drop_unfit(directory: Path, index: Index, log_uuid: bytes, durable: Watermark) -> int:
    """Forget what does not fit the log.

    Returns:
        The position up to which the index goes.
    """
    segments = list_segments(directory)
    fitting = index.checkpoints()
    while fitting and not _fits(segments, fitting[-1], log_uuid, durable):
        fitting.pop()
    index.cut(len(fitting))
    return fitting[-1].last if fitting else 0


def index_rest(
    directory: Path,
    index: Index,
    log_uuid: bytes,
    durable: Watermark,
    progress: Progress = lambda done, total: None,
    turn: Turn = lambda: None,
) -> None:
    """Index what is missing up to the watermark, in tables of some 200,000 events; each is durable,
    so that one that was interrupted goes on from the last of them.

    Args:
        directory: Of the log, whose end must not move meanwhile; segments may be sealed.
        index: What it holds fits the log.
        log_uuid: Of the log's first segment.
        durable: The end.
        progress: Called behind each table.
        turn: Called between frames.

    Raises:
        CorruptLog: what the index must be built from is not what was written.
        OSError: for example, the disk is full.
        ArchiveUnavailable: a part of the log can't be fetched from the archive at the moment.
    """
    checkpoint = index.checkpoint()
    segments = list_segments(directory)
    first = checkpoint.last + 1 if checkpoint else 1
    builder = _Builder(index, log_uuid, first, lambda done: progress(done, durable.position))
    for number, segment in enumerate(segments):
        following = segments[number + 1].base_position if number + 1 < len(segments) else None
        if checkpoint and following is not None and following <= checkpoint.last + 1:
            continue
        if segment.base_position > durable.segment_base:
            break  # the writer has gone on in a new one since, and it is empty
        for frame in _frames(segment, checkpoint, durable):
            builder.add(segment.base_position, frame)
            turn()
    builder.finish()
    if builder.position != durable.position:
        raise RuntimeError(f"indexed up to {builder.position}, not {durable.position}")
    progress(builder.position, durable.position)


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


def _frames(segment: Segment, checkpoint: Checkpoint | None, durable: Watermark) -> Iterator[Frame]:
    """A segment's frames that are not in the index."""
    offset, position = format.SEGMENT_HEADER_BYTES, segment.base_position
    active = segment.base_position == durable.segment_base
    end = durable.end if active else read_footer(segment.path).content_end
    # The active one may have been sealed since it was listed.
    here = segment.path if segment.path.exists() else sealed_path(segment.path)
    seed = format.frame_seed(read_header(here).uuid)
    with current_path(segment.path).open("rb") as file:
        if checkpoint is not None and checkpoint.segment_base == segment.base_position:
            file.seek(checkpoint.frame_offset)
            header = format.decode_frame_header(file.read(format.FRAME_HEADER_BYTES), 0)
            offset = checkpoint.frame_offset + header.length
            position = checkpoint.last + 1
        try:
            yield from walk(file.fileno(), seed, offset, end, position)
        except BadFrame as bad:
            raise CorruptFrame(segment.path, bad.offset, bad.next_position, bad.reason) from bad


class _Builder:
    """Collects entries and writes them in large sorted batches."""

    def __init__(
        self, index: Index, log_uuid: bytes, first: int, written: Callable[[int], None]
    ) -> None:
        self.position = first - 1
        self._first = first
        self._index = index
        self._log_uuid = log_uuid
        self._written = written
        self._parts: list[list[bytes]] = [[] for _ in range(_PARTS)]
        self._waiting = 0
        self._checkpoint: Checkpoint | None = None

    def add(self, segment_base: int, frame: Frame) -> None:
        header, offset, data, parts = frame.header, frame.offset, frame.data, self._parts
        unpack, begin_key, pack = format.unpack_record_header, new_key, pack_entry
        previous, key = b"", b""
        first = count = start = first_record = 0
        at = frame.data_offset + format.FRAME_HEADER_BYTES
        # All in one loop, on bytes: calls for each event would be half of the time.
        for position in range(header.base_position, header.base_position + header.events):
            payload_length, version, stream_length, type_length, metadata_length = unpack(data, at)
            stream_at = at + format.RECORD_HEADER_BYTES
            stream = data[stream_at : stream_at + stream_length]
            if stream == previous and version == first + count:
                count += 1
            else:
                if count:
                    entry = pack(key, first, start, offset, first_record, count)
                    parts[key[0]].append(entry)
                if stream != previous:
                    hashed = begin_key()
                    hashed.update(stream)
                    key, previous = hashed.digest(), stream
                first, count, start = version, 1, position
                first_record = at - frame.data_offset
            at = stream_at + stream_length + type_length + metadata_length + payload_length
        parts[key[0]].append(pack(key, first, start, offset, first_record, count))
        self._waiting += header.events
        self.position = header.base_position + header.events - 1
        self._checkpoint = Checkpoint(
            self._log_uuid, self._first, self.position, segment_base, offset, header.crc
        )
        if self._waiting >= _BATCH_EVENTS:
            self.finish()

    def finish(self) -> None:
        if self._checkpoint is not None and self._waiting:
            entries = sum(map(len, self._parts))
            chunks = (sorted(part) for part in self._parts if part)
            self._index.add_entries(entries, chunks, self._checkpoint)
            for part in self._parts:
                part.clear()
            self._waiting = 0
            self._first = self.position + 1
            self._written(self.position)
