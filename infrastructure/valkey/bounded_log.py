"""A log line for what may happen thousands of times a second."""

import time
from typing import Any, Final

import structlog

_log = structlog.get_logger(__name__)

EVERY_S: Final = 30.0


class BoundedLog:
    """Each event at most once in `EVERY_S`; the next line says how many were kept back."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def warning(self, event: str, **values: Any) -> None:
        """Write it, or count it."""
        now = time.monotonic()
        if now - self._last.get(event, -EVERY_S) < EVERY_S:
            self._kept_back[event] = self._kept_back.get(event, 0) + 1
            return
        self._last[event] = now
        _log.warning(event, not_logged=self._kept_back.pop(event, 0), **values)
