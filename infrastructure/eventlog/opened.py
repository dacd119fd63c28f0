"""Segments that a reader has open: few, and none keeps the space of a deleted file for long."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import MissingSegment
from infrastructure.eventlog.segment import (
    SEALED_SUFFIX,
    current_path,
    list_segments,
    read_footer,
    read_header,
)
from infrastructure.eventlog.watermark import Watermark

_MAX_OPEN: Final = 64
_MAX_FETCHED: Final = 2
"""Open copies of archived segments: a descriptor keeps the space of one that was evicted."""


class OpenSegment(NamedTuple):
    """A segment and what reading it needs."""

    fd: int
    path: Path
    base_position: int
    uuid: bytes
    seed: int
    content_end: int | None
    """Where its frames end, when it is sealed."""
    fetched: bool
    """It is a copy of a segment that is only in the archive."""

    def end(self) -> int:
        """Where to stop at the latest."""
        if self.content_end is not None:
            return self.content_end
        # Full, but not sealed when it was opened: the reader leaves it at the position with which
        # the next segment begins, before it reaches the end of the file.
        return os.fstat(self.fd).st_size


class OpenSegments:
    """A log's segments as one reader sees them. `held` is the base position of the segment that
    its cursor stands in, which stays open.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._bases: list[int] = []
        self._paths: dict[int, Path] = {}
        self._open: dict[int, OpenSegment] = {}

    def bases(self, upto: Watermark, held: int) -> list[int]:
        """Base positions of all segments up to the watermark, in order."""
        if not self._bases or self._bases[-1] < upto.segment_base:
            self._list(held)
        return self._bases

    def get(self, base: int, held: int) -> OpenSegment:
        """The segment with a base position.

        Raises:
            MissingSegment: there is none.
            CorruptSegment: its header or footer is damaged.
            ArchiveUnavailable: it is only in the archive, which does not answer.
        """
        found = self._open.get(base)
        if found is not None:
            return found
        if base not in self._paths:
            self._list(held)
        try:
            found = self._open_segment(base)
        except FileNotFoundError:
            self._list(held)  # it was sealed, and renamed, just now
            found = self._open_segment(base)
        while len(self._open) >= _MAX_OPEN:
            os.close(self._open.pop(next(iter(self._open))).fd)
        if found.fetched:
            fetched = [number for number, segment in self._open.items() if segment.fetched]
            for number in fetched[: len(fetched) + 1 - _MAX_FETCHED]:
                self._close(number, held)
        self._open[base] = found
        return found

    def last_timestamp_us(self, base: int) -> int | None:
        """Of the last event of a segment; None: it was not sealed when it was listed. Nothing is
        fetched from the archive.
        """
        path = self._paths[base]
        return read_footer(path).last_timestamp_us if path.suffix == SEALED_SUFFIX else None

    def fetched(self) -> int:
        """How many open ones are copies of archived segments."""
        return sum(segment.fetched for segment in self._open.values())

    def close(self) -> None:
        """Release descriptors."""
        for segment in self._open.values():
            os.close(segment.fd)
        self._open.clear()

    def _list(self, held: int) -> None:
        segments = list_segments(self._directory)
        self._bases = [segment.base_position for segment in segments]
        self._paths = {segment.base_position: segment.path for segment in segments}
        remote = {segment.base_position for segment in segments if segment.remote}
        for base, segment in list(self._open.items()):
            if base in remote and not segment.fetched:
                self._close(base, held)  # deleted here: nobody else keeps its space

    def _close(self, base: int, held: int) -> None:
        if base != held:
            os.close(self._open.pop(base).fd)

    def _open_segment(self, base: int) -> OpenSegment:
        path = self._paths.get(base)
        if path is None:
            raise MissingSegment(self._directory, 0, base, f"no segment begins at {base}")
        path = current_path(path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            header = read_header(path)
            sealed = path.suffix == SEALED_SUFFIX
            end = read_footer(path).content_end if sealed else None
        except BaseException:
            os.close(fd)
            raise
        fetched = path.parent != self._directory
        return OpenSegment(
            fd, path, base, header.uuid, format.frame_seed(header.uuid), end, fetched
        )
