"""The newest frames, kept in memory as they were written: the states that commands load were mostly
written a moment ago, and a read from the file checks a whole frame again for one event.
"""

import threading
from collections import deque
from typing import Final

from infrastructure.eventlog import format
from infrastructure.eventlog.encoding import EncodedFrame
from infrastructure.eventlog.frames import Frame

MAX_BYTES: Final = 32 * 1024 * 1024


class RecentFrames:
    """Frames by the position of their first event; the oldest go first. Safe for several threads.

    Args:
        max_bytes: Kept at the most.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._frames: dict[int, tuple[int, bytes]] = {}
        self._order: deque[int] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, offset: int, frame: EncodedFrame) -> None:
        """A durable frame and where it was written."""
        with self._lock:
            self._frames[frame.base_position] = (offset, frame.data)
            self._order.append(frame.base_position)
            self._bytes += len(frame.data)
            while self._bytes > self._max_bytes:
                _, data = self._frames.pop(self._order.popleft())
                self._bytes -= len(data)

    def get(self, base_position: int) -> Frame | None:
        """The frame whose first event has this position; None: it is not here."""
        found = self._frames.get(base_position)
        if found is None:
            return None
        offset, data = found
        return Frame(offset, format.decode_frame_header(data, 0), data, 0)
