"""What `kefu serve` has made under a data directory, which an operator may have mistyped."""

from pathlib import Path

from domain.errors import InvalidInput
from infrastructure.system.private_files import read_secret
from interfaces.settings import Settings


class NotStarted(InvalidInput):
    """`kefu serve` has not yet made what was asked for."""

    code = "not-started"

    def __init__(self, directory: Path) -> None:
        super().__init__(f"There is no kefu in {directory}; give its --data-dir, or start it.")


def existing_log(settings: Settings) -> Path:
    """The log's directory.

    Raises:
        NotStarted: there is no log.
    """
    if not settings.log_dir.is_dir():
        raise NotStarted(settings.data_dir)
    return settings.log_dir


def widget_secret(settings: Settings) -> bytes:
    """The key with which the company's server signs identifiers; the web role makes it.

    Raises:
        NotStarted: it has made none yet.
    """
    try:
        return read_secret(settings.widget_secret_file)
    except FileNotFoundError:
        raise NotStarted(settings.data_dir) from None
