"""Numbers about the log: plain ints and floats that a metrics collector reads."""

from typing import Final

from infrastructure.eventlog.queue import JobQueue

FSYNC_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
GROUP_BOUNDS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384)


class LogStats:
    """What the writer has done since it was opened."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self.events = 0
        self.frames = 0
        self.bytes = 0
        self.groups = 0
        self.fsync_seconds = 0.0
        """Sum over all groups: write and fdatasync."""
        self.last_fsync_seconds = 0.0
        self.fsync_counts = [0] * (len(FSYNC_BOUNDS_S) + 1)
        self.group_counts = [0] * (len(GROUP_BOUNDS) + 1)
        self.segments_rolled = 0

    @property
    def queue_depth(self) -> int:
        """Events that wait for the writer."""
        return self._queue.depth

    def committed(self, events: int, size: int, frames: int, seconds: float) -> None:
        """A group is on disk."""
        self.events += events
        self.bytes += size
        self.frames += frames
        self.groups += 1
        self.fsync_seconds += seconds
        self.last_fsync_seconds = seconds
        self.fsync_counts[sum(seconds > bound for bound in FSYNC_BOUNDS_S)] += 1
        self.group_counts[sum(events > bound for bound in GROUP_BOUNDS)] += 1
