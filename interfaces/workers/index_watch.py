"""While the log's index of streams is rebuilt: who tells the operator, and who waits for it."""

import asyncio
import contextlib
import time
from typing import Any, Final, Protocol

import structlog

from application.ports.event_store import IndexProgress
from domain.errors import InfrastructureError, InvalidInput

_log = structlog.get_logger(__name__)
_WATCH_S: Final = 0.2
_REPORT_S: Final = 10.0
"""Between two lines about how far it is."""


class IndexedLog(Protocol):
    """What the log says of its index."""

    @property
    def index_progress(self) -> IndexProgress | None:
        """How far it is being rebuilt; None: it is whole."""

    @property
    def index_failure(self) -> str | None:
        """Why it could not be written the last time; None: it could."""

    @property
    def index_error(self) -> Exception | None:
        """What ended the rebuild for good; None: nothing."""


async def index_whole(log: IndexedLog, stop: asyncio.Event) -> bool:
    """Wait until streams can be looked up, and say in the log how far that is.

    Returns:
        False: it was stopped before.

    Raises:
        InvalidInput: the log is damaged; another start would not change that.
    """
    started = time.monotonic()
    report_at = started + _REPORT_S
    told: str | None = None
    if (progress := log.index_progress) is not None:
        _log.warning("log.index_rebuilding", **_fields(progress))
    while (progress := log.index_progress) is not None:
        if (error := log.index_error) is not None:
            _log.critical("log.index_failed", error=str(error))
            if isinstance(error, InfrastructureError):
                raise InvalidInput(error.detail) from error
            raise error
        failure = log.index_failure
        due = time.monotonic() >= report_at
        if failure is not None and (due or failure != told):
            _log.critical("log.index_failing", error=failure, **_fields(progress))
        elif due:
            _log.warning("log.index_rebuilding", **_fields(progress))
        if due:
            report_at = time.monotonic() + _REPORT_S
        told = failure
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _WATCH_S)
        if stop.is_set():
            return False
    _log.warning("log.index_rebuilt", seconds=round(time.monotonic() - started, 1))
    return True


def _fields(progress: IndexProgress) -> dict[str, Any]:
    return {"percent": progress.percent, "done": progress.done, "total": progress.total}
