"""Handing checkpoints to others, who can then say what was signed, whatever happens here.

The newest one counts: one that could not be delivered before a newer came is covered by that.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from infrastructure.eventlog.sealing import replace_file

_FIRST_BACKOFF_S: Final = 1.0
_LAST_BACKOFF_S: Final = 60.0
_TIMEOUT_S: Final = 10.0
_log = structlog.get_logger(__name__)

Deliver = Callable[[bytes, int], None]
"""Hands over a note and its size; raises what went wrong."""


class PushStats:
    """Plain numbers of one target that a metrics collector reads."""

    def __init__(self) -> None:
        self.pushed = 0
        self.failures = 0
        self.last_us = 0
        """When one was delivered last, microseconds since 1970; 0: none was."""


class Pusher:
    """One target, and a thread that retries with backoff for as long as it takes."""

    def __init__(self, name: str, deliver: Deliver, pause_s: float = 0.0) -> None:
        """
        Args:
            name: For logs and metrics.
            deliver: Hands over a note.
            pause_s: From one delivery to the next, for a target that must not be asked often.
        """
        self.name = name
        self._pause_s = pause_s
        self.stats = PushStats()
        self._deliver = deliver
        self._changed = threading.Condition()
        self._pending: tuple[bytes, int] | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="audit-push", daemon=True)
        self._thread.start()

    def submit(self, note: bytes, size: int) -> None:
        """Deliver a checkpoint instead of an older one that waits."""
        with self._changed:
            self._pending = note, size
            self._changed.notify()

    def close(self) -> None:
        """Stop; what waits is delivered at the next start."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_TIMEOUT_S)

    def _run(self) -> None:
        backoff = 0.0
        while True:
            with self._changed:
                if backoff:
                    self._changed.wait_for(lambda: self._closing, backoff)
                self._changed.wait_for(lambda: self._closing or self._pending is not None)
                if self._closing or self._pending is None:
                    return
                note, size = self._pending
                self._pending = None
            try:
                self._deliver(note, size)
            except Exception as error:  # noqa: BLE001  # whatever a target does: it is tried again
                self.stats.failures += 1
                backoff = min(max(_FIRST_BACKOFF_S, 2 * backoff), _LAST_BACKOFF_S)
                _log.warning("audit.push_failed", to=self.name, error=str(error), retry_s=backoff)
                with self._changed:
                    self._pending = self._pending or (note, size)
            else:
                backoff = 0.0
                self.stats.pushed += 1
                self.stats.last_us = time.time_ns() // 1000
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, self._pause_s)


def to_file(path: Path) -> Deliver:
    """Into a file, replaced each time; into a directory, a file a checkpoint."""

    def deliver(note: bytes, size: int) -> None:
        target = path / f"{size:020d}.checkpoint" if path.is_dir() else path
        replace_file(target, note)

    return deliver


def to_url(url: str) -> Deliver:
    """By POST, as text/plain; any 2xx is an acknowledgement."""

    def deliver(note: bytes, size: int) -> None:
        import httpx  # only for who has such a target

        content_type = {"Content-Type": "text/plain; charset=utf-8"}
        httpx.post(url, content=note, headers=content_type, timeout=_TIMEOUT_S).raise_for_status()

    return deliver


def pushers(paths: Sequence[str], url: str | None) -> list[Pusher]:
    """One for each target."""
    found = [Pusher(path, to_file(Path(path))) for path in paths]
    if url is not None:
        found.append(Pusher("url", to_url(url)))  # by this name: a URL may hold a secret
    return found
