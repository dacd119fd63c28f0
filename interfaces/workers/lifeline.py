"""A role's process ends with its supervisor, even when that is killed."""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

PARENT_VARIABLE: Final = "KEFU_SUPERVISOR_PIPE"
_PR_SET_PDEATHSIG: Final = 1


def hold() -> None:
    """Call first in a role's process; does nothing in one that nobody supervises.

    Two ways, because each has a gap: the kernel's parent-death signal (Linux only, and lost if
    the parent died before this call), and a pipe whose other end only the supervisor holds.
    """
    descriptor = os.environ.pop(PARENT_VARIABLE, None)
    if descriptor is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(int(descriptor),), daemon=True, name="lifeline").start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)  # returns at the end of the pipe only: nobody writes to it
    os.kill(os.getpid(), signal.SIGKILL)
