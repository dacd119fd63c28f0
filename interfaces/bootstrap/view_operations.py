"""What operators do with the views."""

from infrastructure.eventlog.reader import LogReader
from infrastructure.postgres import rebuild as rebuilding
from infrastructure.postgres import verify as verifying
from interfaces.bootstrap.keys import opener
from interfaces.bootstrap.postgres import database_url
from interfaces.bootstrap.started import existing_log
from interfaces.settings import Settings


def status(settings: Settings) -> rebuilding.ViewsStatus:
    """Where the views are."""
    return rebuilding.status(database_url(settings), LogReader(existing_log(settings)))


def rebuild(settings: Settings, progress: rebuilding.Progress) -> rebuilding.ViewsStatus:
    """Build the views anew, beside the running ones."""
    feed = LogReader(existing_log(settings))
    return rebuilding.rebuild(database_url(settings), feed, progress, opener(settings))


def verify(settings: Settings, progress: rebuilding.Progress) -> verifying.ViewsReport:
    """Compare the views with what the log says."""
    feed = LogReader(existing_log(settings))
    return verifying.verify(database_url(settings), feed, progress, opener(settings))
