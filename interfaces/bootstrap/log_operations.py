"""What operators do with the log."""

from pathlib import Path

from application.ports.event_store import EventFeed
from infrastructure.eventlog import backup as backups
from infrastructure.eventlog import operations
from infrastructure.eventlog import restore as restoring
from infrastructure.eventlog.reader import LogReader
from interfaces.bootstrap.postgres import embedded_postgres
from interfaces.bootstrap.started import existing_log
from interfaces.settings import Settings


def info(settings: Settings) -> operations.LogInfo:
    """Segments, sizes, position."""
    return operations.info(existing_log(settings))


def verify(settings: Settings, progress: operations.Progress) -> operations.VerifyReport:
    """Check every byte of the log."""
    return operations.verify(existing_log(settings), progress)


def salvage(
    settings: Settings, target: Path, progress: operations.Progress
) -> operations.SalvageReport:
    """Copy what is intact into a new log."""
    return operations.salvage(existing_log(settings), target, progress)


def feed(settings: Settings) -> EventFeed:
    """The log's files, which must be there."""
    return LogReader(existing_log(settings))


def backup(settings: Settings, target: Path, progress: operations.Progress) -> backups.BackupReport:
    """Copy the log, in use or not, into a new or an earlier backup."""
    return backups.backup(existing_log(settings), target, progress)


def restore(
    settings: Settings, source: Path, progress: operations.Progress
) -> restoring.RestoreReport:
    """Put a backup in the place of the log, which is missing; nothing else may run there.

    Views of a log that is gone are set aside: they may be ahead of what is restored.
    """
    postgres = embedded_postgres(settings)
    log = settings.log_dir
    if postgres is not None and not (log.exists() and any(log.iterdir())):
        postgres.set_aside()
    return restoring.restore(source, settings.log_dir, progress)
