"""Moves what is durable from memory into the index, in a thread of its own."""

import threading
from typing import Final

from infrastructure.eventlog.tail import FLUSH_EVENTS, StreamTail

FLUSH_S: Final = 30.0
_RETRY_S: Final = 1.0


class IndexKeeper:
    """Flushes the tail when it is long, and now and then."""

    def __init__(self, tail: StreamTail) -> None:
        self.failure: str | None = None
        """Why the index could not be written the last time; it is tried again every second."""
        self._tail = tail
        self._due = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="log-indexer", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Something was added."""
        if self._tail.waiting >= FLUSH_EVENTS:
            self._due.set()

    def flush(self) -> bool:
        """Put what waits into the index; whether it could be done."""
        try:
            self._tail.flush()
        except Exception as error:  # noqa: BLE001 - kept in memory, shown, tried again
            self.failure = f"{type(error).__name__}: {error}"
            return False
        self.failure = None
        return True

    def close(self) -> None:
        """Flush everything and stop."""
        self._stopped = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._due.wait(_RETRY_S if self.failure else FLUSH_S)
            self._due.clear()
            self.flush()
        while self.flush() and self._tail.events:
            pass
