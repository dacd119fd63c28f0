"""Role `audit`: keeps the transparency log up to date with the log, and signs checkpoints."""

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from interfaces.workers.priority import give_way
from interfaces.workers.stop_signals import StopSignals

_log = structlog.get_logger(__name__)
_NICENESS: Final = 19
"""As the projector's: messages are taken first, proofs of them may be some seconds late."""


class Follower(Protocol):
    """What follows the log."""

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until it is told to stop, which is asked several times a second."""


def run(follower: Follower) -> int:
    """Follow until SIGTERM; returns the exit status."""
    give_way(_NICENESS)
    with StopSignals() as stop:
        _log.info("audit.ready")
        follower.run(lambda: stop.seen)
    _log.info("audit.stopped")
    return 0
