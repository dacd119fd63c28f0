"""Numbers about archiving: plain ints that a metrics collector reads."""

from infrastructure.eventlog.archive.manifest import ArchivedSegment


class ArchiveStats:
    """What this process has archived since it began, and where segments are."""

    def __init__(self) -> None:
        self.segments = 0
        """Archived, read back and compared."""
        self.bytes = 0
        """Of their files."""
        self.stored_bytes = 0
        """Of their compressed objects."""
        self.deleted = 0
        """Local files of archived segments."""
        self.failures = 0
        self.last_error: str | None = None
        """Of the last round; None: it went well."""
        self.blocked: str | None = None
        """Why no local file may be deleted; None: some may."""
        self.local_segments = 0
        self.remote_segments = 0
        """Only in the archive."""

    def uploaded(self, entry: ArchivedSegment) -> None:
        """A segment is archived."""
        self.segments += 1
        self.bytes += entry.bytes
        self.stored_bytes += entry.stored_bytes
