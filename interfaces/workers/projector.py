"""Role `projector`: keeps the views up to date with the log."""

from typing import Final

import structlog

from application.projections.runner import ProjectionRunner
from interfaces.workers.priority import give_way
from interfaces.workers.stop_signals import StopSignals

_log = structlog.get_logger(__name__)

_NICENESS: Final = 19
"""A busy process gets a sixtieth of what one at 0 gets beside it. Acknowledgements come before
views: on a machine whose processors are all busy the views lag and catch up, and messages are still
taken. It holds back this process's Postgres session too, which works only on what it is sent.
"""


def run(runner: ProjectionRunner) -> int:
    """Project until SIGTERM; returns the exit status."""
    give_way(_NICENESS)
    with StopSignals() as stop:
        _log.info("projector.ready")
        runner.run(lambda: stop.seen)
    _log.info("projector.stopped", position=runner.stats.position)
    return 0
