"""Role `projector`: keeps the views up to date with the log."""

import signal
from types import FrameType

import structlog

from application.projections.runner import ProjectionRunner

_log = structlog.get_logger(__name__)


def run(runner: ProjectionRunner) -> int:
    """Project until SIGTERM; returns the exit status."""
    stopping: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    _log.info("projector.ready")
    runner.run(lambda: bool(stopping))
    _log.info("projector.stopped", position=runner.stats.position)
    return 0
