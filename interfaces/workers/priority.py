"""Whose work comes first when all processors are busy."""

import contextlib
import os
from pathlib import Path
from typing import Final

_AUTOGROUP: Final = Path("/proc/self/autogroup")


def give_way(niceness: int) -> None:
    """Let other processes come first; call early in a process of its own.

    Args:
        niceness: 1 to 19, see sched(7).
    """
    with contextlib.suppress(OSError):  # a sandbox that forbids it
        os.nice(niceness)
    # By default Linux shares processors between sessions first, whatever the niceness within one
    # (sched(7), "The autogroup feature"). A supervised role has a session of its own; one that is
    # started from a shell must not slow down everything else that was.
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(niceness))
