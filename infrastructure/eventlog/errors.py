"""What can be wrong with a log, as a tree.

::

    InfrastructureError
    ├── LogLocked            another process writes this log
    ├── NewerFormat          written by a newer kefu
    ├── WrongBackup          a directory is no backup of this log, or not a whole one
    ├── WrongIndex           the index, a cache, does not lead to what it says
    └── CorruptLog           bytes are not what was written; names file, offset and positions
        ├── CorruptFrame     a frame that fails its checks, with valid frames after it
        ├── CorruptSegment   a header or footer that fails its checks
        └── MissingSegment   a gap in the chain of segments

Those of the archive are in `archive.errors`.
"""

from pathlib import Path

from domain.errors import InfrastructureError


class LogLocked(InfrastructureError):
    """Another process writes this log; one writer is the rule."""

    code = "log-locked"

    def __init__(self, directory: Path, pid: str) -> None:
        super().__init__(f"{directory} is written by process {pid or 'unknown'}; stop it first")


class NewerFormat(InfrastructureError):
    """The segment was written by a newer kefu; this one must not touch it."""

    code = "log-newer-format"

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            f"{path.name} has format {version}, and this kefu knows formats up to {known}. Nothing"
            " was changed: run the kefu that wrote it, or a newer one"
        )


class WrongBackup(InfrastructureError):
    """A directory that is no backup of this log, or not a whole one."""

    code = "log-wrong-backup"


class WrongIndex(InfrastructureError):
    """The index, which is only a cache, does not lead to the event that it should."""

    code = "log-wrong-index"

    def __init__(self, stream: str, version: int, position: int) -> None:
        super().__init__(
            f"the index leads to position {position} for version {version} of {stream}, which is"
            " another event. Stop kefu and remove the log's index directory: it is built anew"
        )


class CorruptLog(InfrastructureError):
    """Bytes are not what was written. Nothing is skipped: see `kefu log verify` and `salvage`."""

    code = "log-corrupt"

    def __init__(self, path: Path, offset: int, next_position: int, reason: str) -> None:
        super().__init__(
            f"{path.name} at byte {offset}: {reason}; intact up to position {next_position - 1}. "
            "Run `kefu log verify`; `kefu log salvage` copies what is intact."
        )
        self.path = path
        self.offset = offset
        self.next_position = next_position
        self.reason = reason


class CorruptFrame(CorruptLog):
    """A frame that fails its checks, though valid frames follow or it was acknowledged."""

    code = "log-corrupt-frame"


class CorruptSegment(CorruptLog):
    """A segment's header or footer that fails its checks."""

    code = "log-corrupt-segment"


class MissingSegment(CorruptLog):
    """The next segment is not where the chain says that it should be."""

    code = "log-missing-segment"
