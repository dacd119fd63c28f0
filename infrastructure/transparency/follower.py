"""The builder at work: following the log until it is told to stop."""

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from application.ports.transparency import AuditState
from domain.errors import InfrastructureError, Unavailable
from infrastructure.eventlog.errors import CorruptLog
from infrastructure.eventlog.notify import FileWatch
from infrastructure.eventlog.watermark import FILE_NAME
from infrastructure.transparency.builder import AuditStats, TreeBuilder
from infrastructure.transparency.errors import AuditContradiction, BadNote
from infrastructure.transparency.files import AuditFiles, asked_for, write_state
from infrastructure.transparency.push import Pusher
from infrastructure.transparency.signed_note import Signer

_REST_S: Final = 0.25
"""Between two looks at a log that grows: each would otherwise be a wake-up for a few events."""
_IDLE_S: Final = 0.5
_RETRY_S: Final = 5.0
_ORPHANS_S: Final = 5.0
_ORPHAN_LOOK_S: Final = 0.05
_log = structlog.get_logger(__name__)


class AlreadyBuilt(InfrastructureError):
    """Another process builds this tree; two would sign different things."""

    code = "audit-locked"


class TreeFollower:
    """Follows the log, and signs a checkpoint at a pace, or at once when somebody asks."""

    def __init__(
        self,
        files: AuditFiles,
        signer: Signer,
        interval_s: float,
        targets: Sequence[Pusher] = (),
        processes: int = 1,
    ) -> None:
        """
        Args:
            files: Of the log.
            signer: Of checkpoints.
            interval_s: Between two checkpoints while there are new events.
            targets: Are given every checkpoint.
            processes: That catch up together when the tree is far behind.
        """
        self.stats = AuditStats()
        self.targets = targets
        self._files = files
        self._signer = signer
        self._interval_s = interval_s
        self._processes = processes

    def run(self, stopping: Callable[[], bool]) -> None:
        """Follow until told to stop, which is asked several times a second.

        Raises:
            AlreadyBuilt: another process does.
        """
        files = self._files
        with contextlib.ExitStack() as stack:
            lock = self._lock(stopping)
            stack.callback(os.close, lock)
            for path in (files.log / FILE_NAME, files.wanted):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=0o600)
            files.tree.mkdir(mode=0o700, parents=True, exist_ok=True)
            wakes = [FileWatch(files.log / FILE_NAME), FileWatch(files.wanted)]
            for watch in wakes:
                stack.callback(watch.close)
            while not stopping():
                try:
                    self._follow(stopping, wakes, lock)
                except (AuditContradiction, BadNote, CorruptLog) as error:
                    self._refuse(error)
                    while not stopping():
                        time.sleep(_REST_S)
                except (OSError, Unavailable) as error:
                    _log.error("audit.failed", error=str(error), retry_s=_RETRY_S)
                    self._pause(_RETRY_S, stopping)
            for target in self.targets:
                target.close()

    def _follow(self, stopping: Callable[[], bool], wakes: Sequence[FileWatch], lock: int) -> None:
        builder = TreeBuilder(self._files, self._signer, self._processes, (lock,))
        builder.stats = self.stats
        try:
            if not builder.open(stopping):
                return
            self._tell(builder.signed)
            due = time.monotonic() + self._interval_s
            while not stopping():
                more = builder.advance()
                wanted = self.stats.signed_size < asked_for(self._files) <= self.stats.size
                if wanted or time.monotonic() >= due:
                    note = builder.checkpoint()
                    due = time.monotonic() + self._interval_s
                    if note is not None:
                        self._tell(note)
                if more:
                    continue
                # A log that grows is looked at now and then; one that stands still is waited for.
                still = self.stats.size == self.stats.signed_size
                _wait(wakes if still else wakes[1:], _IDLE_S if still else _REST_S)
            if self.stats.size != self.stats.signed_size and (note := builder.checkpoint()):
                self._tell(note)
        finally:
            builder.close()

    def _tell(self, note: bytes | None) -> None:
        self.stats.refused = 0
        write_state(self._files, AuditState(self.stats.signed_size))
        if note is not None:
            for target in self.targets:
                target.submit(note, self.stats.signed_size)

    def _refuse(self, error: AuditContradiction | BadNote | CorruptLog) -> None:
        self.stats.refused = 1
        _log.critical("audit.refused", code=error.code, error=error.detail)
        write_state(self._files, AuditState(self.stats.signed_size, error.detail))

    def _lock(self, stopping: Callable[[], bool]) -> int:
        path = self._files.persisted.with_name(self._files.persisted.name + ".lock")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Processes of one that was killed end in a moment.
        deadline = time.monotonic() + _ORPHANS_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                if stopping() or time.monotonic() > deadline:
                    os.close(fd)
                    reason = f"another process builds the tree of {self._files.log}"
                    raise AlreadyBuilt(reason) from None
                time.sleep(_ORPHAN_LOOK_S)

    @staticmethod
    def _pause(seconds: float, stopping: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not stopping():
            time.sleep(_REST_S)


def _wait(wakes: Sequence[FileWatch], timeout_s: float) -> None:
    poller = select.poll()
    for watch in wakes:
        poller.register(watch.fileno(), select.POLLIN)
    if poller.poll(timeout_s * 1000):
        for watch in wakes:
            watch.drain()
