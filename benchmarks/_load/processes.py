"""CPU time of groups of processes, from /proc (proc(5)); Linux only."""

import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: list[int]) -> dict[str, float]:
    """User and system time that each kind of process below the roots has used so far, in s.

    Kinds are roles of kefu, `supervisor` and `postgres`. Processes that have ended count with
    their parent (proc(5): cutime, cstime).
    """
    stats = _stats()
    total: dict[str, float] = {}
    todo = list(roots)
    seen: set[int] = set()
    while todo:
        pid = todo.pop()
        if pid in seen or pid not in stats:
            continue
        seen.add(pid)
        kind = _kind(pid)
        total[kind] = total.get(kind, 0.0) + stats[pid][1] / _TICKS_PER_S
        todo += [child for child, (parent, _) in stats.items() if parent == pid]
    return total


def _stats() -> dict[int, tuple[int, int]]:
    """Pid -> parent and ticks."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        found[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    return found


def _kind(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return "ended"
    if b"--role" in command:
        return command[command.index(b"--role") + 1].decode()
    return "postgres" if b"postgres" in command[0] else "supervisor"
