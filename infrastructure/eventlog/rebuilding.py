"""Building the index in the background, when too much is missing to wait for it at the start.

Meanwhile the log is read by position and takes no events, so its end does not move.
"""

import threading
import time
from pathlib import Path
from typing import Final

from application.ports.event_store import IndexProgress, IndexRebuilding
from domain.errors import Unavailable
from infrastructure.eventlog.index import Index
from infrastructure.eventlog.rebuild import index_rest
from infrastructure.eventlog.watermark import Watermark

AT_ONCE_EVENTS: Final = 300_000
"""So many at most are indexed before the log is open: two or three seconds."""
_WORK_S: Final = 0.01
"""After so much work there is a rest."""
_REST: Final = 0.25
"""Time that is left to others for each time of work; less than merging leaves, because commands
wait for this."""
_MAX_REST_S: Final = 0.1
_FIRST_RETRY_S: Final = 1.0
_LAST_RETRY_S: Final = 10.0


class IndexRebuilder:
    """One thread that indexes the rest of a log."""

    def __init__(
        self, directory: Path, index: Index, log_uuid: bytes, durable: Watermark, done: int
    ) -> None:
        self.progress: IndexProgress | None = IndexProgress(done, durable.position)
        """None: the index is whole."""
        self.failure: str | None = None
        """Why it can't go on at the moment, or for good."""
        self.error: Exception | None = None
        """What ended it for good: the log is damaged, or this code has a bug."""
        self._directory = directory
        self._index = index
        self._log_uuid = log_uuid
        self._durable = durable
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._worked_since = 0.0
        self._thread = threading.Thread(target=self._run, name="log-rebuilder", daemon=True)
        self._thread.start()

    def require(self) -> None:
        """Return if the index is whole.

        Raises:
            IndexRebuilding: it is not.
        """
        progress = self.progress
        if progress is not None:
            raise IndexRebuilding(progress, self.failure) from self.error

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until the index is whole; whether it is.

        Raises:
            What ended the rebuild for good.
        """
        self._ended.wait(timeout_s)
        if self.error is not None:
            raise self.error
        return self.progress is None

    def close(self) -> None:
        """Stop soon; the tables that are written are kept, and the next start goes on there."""
        self._stop.set()
        self._index.close()  # it may wait for merging, which would take long
        self._thread.join()

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        try:
            while not self._try():
                if self._stop.wait(retry_s):
                    return
                retry_s = min(_LAST_RETRY_S, 2 * retry_s)
            self.progress = None
        except _Stopped:
            return
        except Exception as error:  # noqa: BLE001 - shown, and raised by whoever waits
            self.failure, self.error = _reason(error), error
        finally:
            self._ended.set()

    def _try(self) -> bool:
        """Go on until the index is whole; False: something is in the way that may pass."""
        self._worked_since = time.perf_counter()
        try:
            index_rest(
                self._directory,
                self._index,
                self._log_uuid,
                self._durable,
                self._written,
                self._turn,
            )
        except (OSError, Unavailable) as error:
            # A full disk, an archive that does not answer: from the last table on, again.
            self.failure = _reason(error)
            return False
        return True

    def _written(self, done: int, total: int) -> None:
        """A table is durable."""
        self.failure = None
        self.progress = IndexProgress(done, total)

    def _turn(self) -> None:
        """Between two frames."""
        if self._stop.is_set():
            raise _Stopped
        worked = time.perf_counter() - self._worked_since
        if worked < _WORK_S:
            return
        self._stop.wait(min(_REST * worked, _MAX_REST_S))
        self._worked_since = time.perf_counter()


class _Stopped(Exception):
    pass


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
