"""The log's archive."""

from collections.abc import Mapping

from infrastructure.eventlog.archive.service import LogArchive
from infrastructure.eventlog.retention import cursor_files
from interfaces.bootstrap.postgres import database_url
from interfaces.settings import Settings


def log_archive(settings: Settings) -> LogArchive:
    """The log's archive.

    Raises:
        InvalidInput: it has none.
    """
    sources = {
        "views": lambda: _view_positions(settings),
        "cursors": cursor_files(settings.cursor_dir),
    }
    return LogArchive.of(settings.log_dir, settings, sources)


def _view_positions(settings: Settings) -> Mapping[str, int]:
    # Only here: it loads the database's driver, and a core is to take commands before.
    from infrastructure.postgres.cursors import view_positions

    return view_positions(database_url(settings))
