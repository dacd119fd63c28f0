"""The embedded Postgres under the supervisor: started again after it ended, with a backoff."""

import time
from collections import Counter
from typing import Final, Protocol

import structlog

from domain.errors import KefuError
from interfaces.workers.stop_signals import StopSignals

PART: Final = "postgres"
_FIRST_BACKOFF_S: Final = 0.2
_LAST_BACKOFF_S: Final = 10.0
_STEADY_S: Final = 30.0

_log = structlog.get_logger(__name__)


class Database(Protocol):
    """The embedded Postgres, or nothing where the operator has a server."""

    @property
    def pid(self) -> int | None: ...

    def start(self) -> bool: ...

    def stop(self) -> None: ...


class DatabaseWatch:
    """Call `tend` often; a failed start is tried again, so that it never ends the roles."""

    def __init__(self, database: Database, signals: StopSignals, restarts: Counter[str]) -> None:
        self._database = database
        self._signals = signals
        self._restarts = restarts
        self._backoff_s = _FIRST_BACKOFF_S
        self._started: float | None = None
        self._due = 0.0

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._database.pid is not None

    def start(self) -> None:
        """Start it, or find the one that runs; blocking, until it takes connections.

        Raises:
            Unavailable: it does not start.
            Interrupted: a signal to stop came.
        """
        with self._signals.interrupting():
            found = self._database.start()
        self._started = time.monotonic()
        _log.info("supervisor.postgres", pid=self._database.pid, found_running=found)

    def tend(self) -> None:
        """Start it again when it has ended and its time has come.

        Raises:
            Interrupted: a signal to stop came.
        """
        if self.running:
            return
        if self._started is not None:
            if time.monotonic() - self._started > _STEADY_S:
                self._backoff_s = _FIRST_BACKOFF_S
            self._started = None
            _log.error("supervisor.postgres_ended", retry_s=self._backoff_s)
            self._wait()
        if time.monotonic() < self._due:
            return
        self._restarts[PART] += 1
        try:
            self.start()
        except KefuError as error:
            _log.error(
                "supervisor.postgres_does_not_start", error=error.detail, retry_s=self._backoff_s
            )
            self._wait()

    def stop(self) -> None:
        """Stop it, whoever started it."""
        self._database.stop()

    def _wait(self) -> None:
        self._due = time.monotonic() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, _LAST_BACKOFF_S)
