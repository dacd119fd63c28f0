"""Small files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path

from infrastructure.eventlog.disk import sync_directory


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file's content, atomically and durably on return; its directory is made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise
    sync_directory(path.parent)
