"""The log as a persistence module of the `eventsourcing` library.

Set `PERSISTENCE_MODULE=infrastructure.eventlog.recorder`. The logs are in `EVENTLOG_DIR`, or in
`eventlog/<name of the application>` of the current directory; each purpose has a log of its own
there. As with every variable of the library, `<APPLICATION>_EVENTLOG_DIR` is for one application.

Source: eventsourcing.persistence, version 9.5; README.md beside this file.
"""

import threading
from pathlib import Path
from typing import Any, Final

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
)
from eventsourcing.utils import resolve_topic

from infrastructure.eventlog.recorders import (
    LogApplicationRecorder,
    LogProcessRecorder,
    LogTrackingRecorder,
)
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.stored_events import LogAggregateRecorder

DIRECTORY_VARIABLE: Final = "EVENTLOG_DIR"
_DEFAULT_DIRECTORY: Final = "eventlog"


class SharedLogs:
    """Logs that are open in this process: applications in one process may share a directory, and
    a log has one writer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[EventLog, int]] = {}

    def acquire(self, directory: Path) -> EventLog:
        """The log of a directory, opened by its first user."""
        with self._lock:
            log, users = self._open.get(directory) or (EventLog.open(directory), 0)
            self._open[directory] = (log, users + 1)
            return log

    def release(self, directory: Path) -> None:
        """One user less; the last one closes it."""
        with self._lock:
            log, users = self._open.pop(directory)
            if users > 1:
                self._open[directory] = (log, users - 1)
            else:
                log.close()


_shared: Final = SharedLogs()


class Factory(InfrastructureFactory[LogTrackingRecorder]):
    """Builds recorders over the logs of a directory; one process at a time may write them."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._logs: dict[Path, EventLog] = {}

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Events or snapshots."""
        return LogAggregateRecorder(self._log(purpose), contiguous=purpose != "snapshots")

    def application_recorder(self) -> ApplicationRecorder:
        """Events as one sequence."""
        topic = self.env.get(self.APPLICATION_RECORDER_TOPIC)
        recorder: type[LogApplicationRecorder] = (
            resolve_topic(topic) if topic else LogApplicationRecorder
        )
        return recorder(self._log("events"))

    def tracking_recorder(
        self, tracking_recorder_class: type[LogTrackingRecorder] | None = None
    ) -> LogTrackingRecorder:
        """Tracking alone, or of the class that the caller or the environment names."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        if tracking_recorder_class is None and topic:
            tracking_recorder_class = resolve_topic(topic)
        return (tracking_recorder_class or LogTrackingRecorder)(self._log("tracking"))

    def process_recorder(self) -> ProcessRecorder:
        """Events and tracking."""
        topic = self.env.get(self.PROCESS_RECORDER_TOPIC)
        recorder: type[LogProcessRecorder] = resolve_topic(topic) if topic else LogProcessRecorder
        return recorder(self._log("events"))

    def close(self) -> None:
        """Close the logs."""
        for directory in self._logs:
            _shared.release(directory)
        self._logs.clear()
        super().close()

    def _log(self, purpose: str) -> EventLog:
        # By default one for each application: in a shared log they would see each other's events.
        root = self.env.get(DIRECTORY_VARIABLE) or Path(_DEFAULT_DIRECTORY, self.env.name)
        directory = (Path(root) / purpose).absolute()
        if directory not in self._logs:
            self._logs[directory] = _shared.acquire(directory)
        return self._logs[directory]
