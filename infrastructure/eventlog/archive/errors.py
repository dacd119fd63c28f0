"""What can be wrong with an archive, as a tree.

::

    InfrastructureError
    ├── Unavailable
    │   └── ArchiveUnavailable    the store does not answer, or there is no space for what it holds
    ├── ArchiveConflict           the store holds something else under a key; nothing was changed
    ├── ArchiveBusy               another process is archiving
    ├── ArchiveUnknown            segments are archived, and nobody says where
    ├── ObjectNotFound            the store holds nothing under a key
    └── CorruptSegment
        └── CorruptArchive        an archived segment is not what was archived
"""

from domain.errors import InfrastructureError, Unavailable
from infrastructure.eventlog.errors import CorruptSegment


class ArchiveUnavailable(Unavailable):
    """The store does not answer; try again."""

    code = "archive-unavailable"


class ArchiveConflict(InfrastructureError):
    """Something else is there under this key: another log's archive, or damage."""

    code = "archive-conflict"

    def __init__(self, url: str, key: str) -> None:
        super().__init__(
            f"{url} holds something else under {key}: the archive of another log, or a damaged"
            " object. Nothing was overwritten or deleted; use another archive, or look at that one"
        )


class ArchiveBusy(InfrastructureError):
    """Another process is archiving this log."""

    code = "archive-busy"


class ArchiveUnknown(InfrastructureError):
    """Segments are archived, and nobody says where."""

    code = "archive-unknown"


class ObjectNotFound(InfrastructureError):
    """The store holds nothing under this key."""

    code = "archive-object-missing"

    def __init__(self, url: str, key: str) -> None:
        super().__init__(f"{url} holds no {key}")


class CorruptArchive(CorruptSegment):
    """An archived segment is not what was archived."""

    code = "log-corrupt-archive"
