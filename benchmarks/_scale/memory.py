"""Memory of this process, from /proc/self/status (proc(5)); Linux only."""

from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """In MB (1e6 bytes)."""

    rss_mb: float
    """Resident in all: pages of mapped files count, which the kernel takes back when it likes."""
    anon_mb: float
    """What only this process holds: heap and stacks."""


def memory() -> Memory:
    """Now."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Memory(_mb(fields["VmRSS"]), _mb(fields["RssAnon"]))


def _mb(field: str) -> float:
    return round(int(field.split()[0]) * 1024 / 1e6, 1)


def disk_bytes(directory: Path) -> int:
    """Space that the files in a directory take on disk (a sparse file takes less than its size)."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
