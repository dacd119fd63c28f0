"""Log lines that a client can cause, at a bounded rate."""

from typing import Any, Final, Protocol

_EVERY_S: Final = 10.0


class Log(Protocol):
    """What a structlog logger has."""

    def warning(self, event: str, **fields: Any) -> Any: ...


class BoundedLog:
    """The first of each kind at once, then one line every so many seconds with their number.

    Args:
        log: Where lines go.
        every_s: At least so long between two lines of one kind.
    """

    __slots__ = ("_every_s", "_kinds", "_log")

    def __init__(self, log: Log, every_s: float = _EVERY_S) -> None:
        self._log = log
        self._every_s = every_s
        self._kinds: dict[str, tuple[float, int, dict[str, Any]]] = {}
        """By kind: when the last line was, how many came since, and the fields of the latest."""

    def warning(self, event: str, now: float, **fields: Any) -> None:
        """One happened.

        Args:
            event: The kind; one of a few, never a client's text.
            now: Seconds of a monotonic clock.
            fields: Of this one; a line of many has those of the latest.
        """
        known = self._kinds.get(event)
        if known is None:
            self._kinds[event] = (now, 0, {})
            self._log.warning(event, **fields)
        else:
            self._kinds[event] = (known[0], known[1] + 1, fields)
            if now - known[0] >= self._every_s:
                self._write(event, now)

    def flush(self, now: float) -> None:
        """Write what has waited long enough, and forget kinds that have been quiet for so long.

        Call it every second or so: nothing else tells of the last ones of a wave.
        """
        for event, (then, count, _) in list(self._kinds.items()):
            if now - then >= self._every_s:
                if count:
                    self._write(event, now)
                else:
                    del self._kinds[event]

    def _write(self, event: str, now: float) -> None:
        then, count, fields = self._kinds[event]
        self._kinds[event] = (now, 0, {})
        self._log.warning(event, **fields, times=count, in_s=round(now - then, 1))
