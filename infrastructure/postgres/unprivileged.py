"""Running a program as `nobody`, because Postgres refuses to run as root.

No system user is made and no directory is opened to others. Two ways:

- In a user namespace (user_namespaces(7)) in which root is `nobody`: the files stay root's.
- Where a container forbids that: as the user `nobody`, who owns the files and keeps the one
  capability that lets it reach them through root's directories (capabilities(7)).
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

_CLONE_NEWUSER: Final = 0x10000000
_PR_SET_KEEPCAPS: Final = 8
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_OVERRIDE: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522
_ROOT: Final = 0
_NOBODY: Final = 65534
_ADVICE: Final = "Postgres refuses to run as root, and nothing else is possible here: run kefu as \
an ordinary user, or set KEFU_DATABASE_URL."


def leave_root(program: Path, directory: Path) -> Callable[[], None] | None:
    """What a child does before it becomes the program; None: nothing, we are not root.

    Args:
        program: Is tried with `--version`.
        directory: Where the program's files are; they get the owner that it will run as.

    Raises:
        Unavailable: there is no way here.
    """
    if os.geteuid() != _ROOT:
        return None
    if sys.platform != "linux":
        raise Unavailable(_ADVICE)
    for way, owner in ((enter_namespace, _ROOT), (become_nobody, _NOBODY)):
        if _works(program, way):
            _give(directory, owner)
            return way
    raise Unavailable(_ADVICE)


def enter_namespace() -> None:
    """Root becomes `nobody` in a user namespace of this process."""
    _check(_libc().unshare(_CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {_ROOT} 1")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {_ROOT} 1")


def become_nobody() -> None:
    """Root becomes the user `nobody`, who can go through any directory."""
    libc = _libc()
    _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    bit = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable; then the same of the upper 32 capabilities.
    _check(libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)))
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def _works(program: Path, way: Callable[[], None]) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, preexec_fn=way, check=False
        )
    except (subprocess.SubprocessError, OSError):
        return False
    return done.returncode == 0


def _give(directory: Path, owner: int) -> None:
    if not directory.exists() or directory.lstat().st_uid == owner:
        return
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            os.lchown(os.path.join(parent, name), owner, owner)
    # Last, so that an interrupted change is done again.
    os.lchown(directory, owner, owner)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
