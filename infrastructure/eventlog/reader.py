"""Reading the log's files, from any process."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from application.ports.event_store import MatchingEvents, RecordedEvent
from infrastructure.eventlog.filtering import EventFilter, MatchingScan
from infrastructure.eventlog.notify import FileWatch
from infrastructure.eventlog.segment_reader import SegmentReader
from infrastructure.eventlog.watermark import FILE_NAME, WatermarkReader


class LogReader:
    """`EventFeed` over the log's files for processes that do not write it; threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments = SegmentReader(directory)
        self._scan = MatchingScan(self._segments.passing)
        self._watermark = WatermarkReader(directory)
        self._watch: FileWatch | None = None
        self._reading = threading.Lock()

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        """As `EventFeed.read`."""
        with self._reading:
            return self._segments.read(after, limit, self._watermark.read())

    def read_matching(
        self, after: int, limit: int, types: Sequence[str] = (), categories: Sequence[str] = ()
    ) -> MatchingEvents:
        """As `EventFeed.read_matching`."""
        with self._reading:
            wanted = EventFilter(types, categories)
            return self._scan.read(after, limit, wanted, self._watermark.read())

    def position_at(self, recorded_us: int) -> int:
        """As `EventFeed.position_at`."""
        with self._reading:
            return self._segments.position_at(recorded_us, self._watermark.read())

    def durable_position(self) -> int:
        """As `EventFeed.durable_position`."""
        with self._reading:
            return self._watermark.read().position

    def wait(self, after: int, timeout_s: float) -> int:
        """As `EventFeed.wait`."""
        deadline = time.monotonic() + timeout_s
        watch = self._file_watch()  # before the first look, or a change in between goes unseen
        while True:
            position = self.durable_position()
            left = deadline - time.monotonic()
            if position > after or left <= 0:
                return position
            watch.wait(left)

    def fileno(self) -> int:
        """As `EventFeed.fileno`."""
        return self._file_watch().fileno()

    def drain(self) -> None:
        """As `EventFeed.drain`."""
        self._file_watch().drain()

    def close(self) -> None:
        """As `EventFeed.close`."""
        self._segments.close()
        self._watermark.close()
        if self._watch is not None:
            self._watch.close()

    def _file_watch(self) -> FileWatch:
        if self._watch is None:
            path = self._directory / FILE_NAME
            self._directory.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._watch = FileWatch(path)
        return self._watch
