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
# A session of its own first: the one that runs the tests may be in no autogroup (it reads empty).
_SHELL = """
import subprocess, sys
group = lambda: print(open("/proc/self/autogroup").read().split()[-1], flush=True)
group()
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
group()
"""


def _session(*arguments: str) -> list[int]:
    """The numbers that Python prints, in a session of its own."""
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(not _AUTOGROUP.exists(), reason="the kernel has no autogroups")
def test_with_a_session_of_its_own_all_of_it_gives_way() -> None:
    _, session = _session(_CHILD)
    assert session == 7


@pytest.mark.skipif(not _AUTOGROUP.exists(), reason="the kernel has no autogroups")
def test_started_from_a_shell_the_process_gives_way_and_the_shell_does_not() -> None:
    before, niceness, session, after = _session(_SHELL, _CHILD)
    assert niceness >= 7
    assert session == before == after
