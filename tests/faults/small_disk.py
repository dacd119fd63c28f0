"""A small file system of its own, to fill up for real."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import missing, require

SIZE_MB = 64


@contextmanager
def small_disk(directory: Path, kind: str) -> Iterator[Path]:
    """An empty ext4 (in an image) or tmpfs of 64 MB, mounted; only root can do that."""
    mount, umount = require("mount"), require("umount")
    if os.geteuid() != 0:
        missing("only root can mount a small file system")
    place = directory / "disk"
    place.mkdir()
    if kind == "tmpfs":
        command = [mount, "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(place)]
    else:
        image = directory / "disk.img"
        with image.open("wb") as file:
            file.truncate(SIZE_MB * 1024 * 1024)
        # -m 0: no blocks that only root may use, or this test, as root, would never fill it.
        subprocess.run([require("mkfs.ext4"), "-q", "-m", "0", str(image)], check=True)
        command = [mount, "-o", "loop", str(image), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing(f"a {kind} can't be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily: maps of the index's files go when the last look-up that had them is collected.
        subprocess.run([umount, "--lazy", str(place)], check=True)


def free_bytes(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def fill(path: Path, leave: int = 0) -> None:
    """Write a file until there is no more space than this."""
    with path.open("ab") as file:
        chunk = min(free_bytes(path.parent) - leave, 1024 * 1024)
        while chunk > 0:
            try:
                file.write(b"\xaa" * chunk)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                if chunk <= 512:
                    return
                chunk //= 2
                continue
            chunk = min(free_bytes(path.parent) - leave, chunk)
