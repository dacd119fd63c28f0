"""`CheckpointStore` as a file: open sagas as JSON, replaced as a whole.

A checkpoint of another log, of another format or damaged is passed over: the sagas are then read
from the log's beginning, which takes longer and gives the same.
"""

import contextlib
import os
from pathlib import Path

import msgspec
import structlog

from application.sagas.open_sagas import FORMAT, Checkpoint
from infrastructure.eventlog.disk import sync_directory

_log = structlog.get_logger(__name__)


class _File(msgspec.Struct, frozen=True):
    log_id: str
    checkpoint: Checkpoint


class CheckpointFile:
    """One file; nothing personal is in it."""

    def __init__(self, path: Path, log_id: str) -> None:
        """`log_id` is that of the log whose sagas they are."""
        self._path = path
        self._log_id = log_id

    def load(self) -> Checkpoint | None:
        """As `CheckpointStore.load`."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            _log.warning("sagas.checkpoint_unreadable", error=str(error))
            return None
        if found.log_id != self._log_id or found.checkpoint.format != FORMAT:
            return None
        return found.checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """As `CheckpointStore.save`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with contextlib.closing(os.fdopen(descriptor, "wb")) as file:
            file.write(msgspec.json.encode(_File(self._log_id, checkpoint)))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        sync_directory(self._path.parent)
