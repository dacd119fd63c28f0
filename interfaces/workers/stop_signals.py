"""SIGTERM, SIGINT and SIGHUP (a closed terminal) as a wish to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal came while `StopSignals.interrupting`; not an `Exception`, so nobody keeps it."""


class StopSignals:
    """Remembers that a signal came; the handlers of before come back at the end."""

    def __init__(self) -> None:
        self.seen = False
        self._interrupt = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in _NUMBERS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A signal ends what goes on meanwhile, which may take long.

        Raises:
            Interrupted: one came, now or before.
        """
        self._interrupt = True
        try:
            if self.seen:
                raise Interrupted
            yield
        finally:
            self._interrupt = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if self._interrupt:
            self._interrupt = False
            raise Interrupted
