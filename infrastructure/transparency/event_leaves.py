"""The event log as leaves of the tree."""

from pathlib import Path

from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.format import InvalidBytes
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.watermark import WatermarkReader
from infrastructure.transparency.leaves import Leaves, frame_leaves


class EventLeaves:
    """Leaves of durable events, from frames whose checksums are checked; events are not decoded.

    Reads the archive through where a segment is only there. Not for several threads.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._segments = SegmentReader(log)
        self._watermark = WatermarkReader(log)
        self._next = 0
        self._left = Leaves([], [])
        """Of a frame that was read further than the caller wanted."""

    def durable_position(self) -> int:
        """Position of the last event on disk."""
        return self._watermark.read().position

    def read(self, after: int, limit: int) -> Leaves:
        """Leaves of durable events with `position > after`, at most `limit`.

        Raises:
            CorruptLog: what stands there is not what was written.
            ArchiveUnavailable: it is only in the archive, which does not answer.
        """
        leaves, hashes = self._left if self._next == after else Leaves([], [])
        self._left = Leaves([], [])
        upto = self._watermark.read()
        at = after + len(leaves)
        if len(leaves) < limit and at < upto.position:
            for frame in self._segments.frames(at, upto):
                first = frame.header.base_position
                try:
                    found = frame_leaves(frame.data, frame.data_offset, frame.header)
                except InvalidBytes as error:
                    raise CorruptFrame(self._log, frame.offset, first, str(error)) from error
                skip = max(0, at + 1 - first)
                leaves += found.leaves[skip:] if skip else found.leaves
                hashes += found.hashes[skip:] if skip else found.hashes
                at = first + frame.header.events - 1
                if len(leaves) >= limit:
                    break
        self._left = Leaves(leaves[limit:], hashes[limit:])
        self._next = after + limit if self._left.leaves else 0
        del leaves[limit:], hashes[limit:]
        return Leaves(leaves, hashes)

    def close(self) -> None:
        """Release descriptors."""
        self._segments.close()
        self._watermark.close()
