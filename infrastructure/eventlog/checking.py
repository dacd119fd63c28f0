"""Checking one segment byte by byte: what verify, the scrubber, backup and restore share."""

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, CorruptSegment
from infrastructure.eventlog.format import Footer
from infrastructure.eventlog.frames import BadFrame, Frame, walk
from infrastructure.eventlog.segment import (
    current_path,
    read_footer,
    read_footer_streams,
    read_header,
)

_UNREADABLE: Final = (errno.EIO, errno.EBADMSG, errno.EUCLEAN)
"""What a disk or a file system says of bytes that it can't give back."""


def check_sealed(path: Path, *, records: bool = True) -> Iterator[Frame]:
    """A sealed segment's frames, each checked; at the end its footer and content hash.

    Args:
        path: Of the segment.
        records: Decode every event too. The checksum of its frame says already that it is what
            was written; decoding costs several times as much as everything else.

    Raises:
        CorruptLog: located; bytes that the disk can't give back count as damaged.
        FileNotFoundError: it is not there (any more).
    """
    try:
        footer = read_footer(path)
        streams = read_footer_streams(path)
    except OSError as error:
        raise _unreadable(error, path, 0, int(path.stem)) from error
    events = footer.last_position - footer.first_position + 1
    if len(streams) != footer.streams or footer.events != events:
        reason = "footer does not count what the segment holds"
        raise CorruptSegment(path, footer.content_end, int(path.stem), reason)
    return _check(path, footer.content_end, footer.last_position, footer, records)


def check_open(path: Path, end: int | None, last: int) -> Iterator[Frame]:
    """The frames of a segment that is being written, each checked.

    Args:
        path: Of the segment; it may have been sealed meanwhile.
        end: Where its durable frames end; None: where the last position says.
        last: Position with which they should end.

    Raises:
        CorruptLog: located; bytes that the disk can't give back count as damaged.
    """
    return _check(path, end, last, None, records=True)


def _check(
    path: Path, end: int | None, last: int, footer: Footer | None, records: bool
) -> Iterator[Frame]:
    position, at = int(path.stem), format.SEGMENT_HEADER_BYTES
    digest = hashlib.sha256()
    path = path if footer is not None else current_path(path)
    try:
        seed = format.frame_seed(read_header(path).uuid)
        with path.open("rb") as file:
            digest.update(file.read(format.SEGMENT_HEADER_BYTES))
            for frame in walk(file.fileno(), seed, at, end, position):
                digest.update(memoryview(frame.data)[frame.data_offset :][: frame.header.length])
                if records and sum(1 for _ in frame.records()) != frame.header.events:
                    raise BadFrame(frame.offset, position, "records are not as counted")
                position += frame.header.events
                at = frame.offset + frame.header.length
                yield frame
                if position > last:
                    break
    except BadFrame as bad:
        raise CorruptFrame(path, bad.offset, bad.next_position, bad.reason) from bad
    except OSError as error:
        raise _unreadable(error, path, at, position) from error
    if position != last + 1 or (footer is not None and at != footer.content_end):
        reason = f"ends with position {position - 1}; it should with {last}"
        raise CorruptSegment(path, at, position, reason)
    if footer is not None and digest.digest() != footer.content_hash:
        reason = "content does not have the hash in the footer"
        raise CorruptSegment(path, footer.content_end, int(path.stem), reason)


def _unreadable(error: OSError, path: Path, offset: int, position: int) -> Exception:
    if error.errno in _UNREADABLE:
        return CorruptFrame(path, offset, position, f"can't be read: {error.strerror}")
    return error
