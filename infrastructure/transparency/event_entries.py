"""The event log as entries of the tree."""

from pathlib import Path

from infrastructure.eventlog.errors import CorruptFrame
from infrastructure.eventlog.format import InvalidBytes
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.watermark import WatermarkReader
from infrastructure.transparency.leaves import frame_entries


class EventEntries:
    """Entries of durable events, from frames whose checksums are checked; events are not decoded.

    Reads the archive through where a segment is only there. Not for several threads.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._segments = SegmentReader(log)
        self._watermark = WatermarkReader(log)
        self._next = 0
        self._left: list[bytes] = []
        """Entries of a frame that was read further than the caller wanted."""

    def durable_position(self) -> int:
        """Position of the last event on disk."""
        return self._watermark.read().position

    def read(self, after: int, limit: int) -> list[bytes]:
        """Entries of durable events with `position > after`, at most `limit`.

        Raises:
            CorruptLog: what stands there is not what was written.
            ArchiveUnavailable: it is only in the archive, which does not answer.
        """
        entries = self._left if self._next == after else []
        self._left = []
        upto = self._watermark.read()
        at = after + len(entries)
        if len(entries) < limit and at < upto.position:
            for frame in self._segments.frames(at, upto):
                try:
                    found = frame_entries(frame.data, frame.data_offset, frame.header)
                except InvalidBytes as error:
                    base = frame.header.base_position
                    raise CorruptFrame(self._log, frame.offset, base, str(error)) from error
                skip = at + 1 - frame.header.base_position
                entries += found[skip:] if skip > 0 else found
                at = frame.header.base_position + frame.header.events - 1
                if len(entries) >= limit:
                    break
        self._left = entries[limit:]
        self._next = after + limit if self._left else 0
        del entries[limit:]
        return entries

    def close(self) -> None:
        """Release descriptors."""
        self._segments.close()
        self._watermark.close()
