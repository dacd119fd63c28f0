"""A role that gives way does so for itself, and not for the shell that it was started from."""

import subprocess
import sys
from pathlib import Path

import pytest

_AUTOGROUP = Path("/proc/self/autogroup")
_CHILD = """
from interfaces.workers.priority import give_way
give_way(7)
print(open("/proc/self/stat").read().rpartition(")")[2].split()[16])
print(open("/proc/self/autogroup").read().split()[-1])
"""


def _run(*, session: bool) -> list[int]:
    """Niceness of a process that gave way, and of its session."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=session,
    )
    return [int(line) for line in done.stdout.split()]


def _own() -> int:
    return int(_AUTOGROUP.read_text().split()[-1])


@pytest.mark.skipif(not _AUTOGROUP.exists(), reason="the kernel has no autogroups")
def test_with_a_session_of_its_own_all_of_it_gives_way() -> None:
    assert _run(session=True)[1] == 7


@pytest.mark.skipif(not _AUTOGROUP.exists(), reason="the kernel has no autogroups")
def test_started_from_a_shell_the_process_gives_way_and_the_shell_does_not() -> None:
    before = _own()
    niceness, session = _run(session=False)
    assert niceness >= 7
    assert session == before == _own()
