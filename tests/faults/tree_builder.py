"""Processes that build the tree over a log until they are killed, by themselves, at a given call.

Run as `python -m tests.faults.tree_builder DATA`: a nursery that has everything imported and forks
a builder for each line `COUNT` on standard input. The builder catches up in small steps, signs
after each, says `note BASE64`, and kills itself with SIGKILL at its COUNT-th call that changes what
is on disk: in the middle of it when it writes, else before or after it by turns. The nursery says
`dead STATUS`.
"""

import base64
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from infrastructure.transparency import builder as building
from infrastructure.transparency import opening
from infrastructure.transparency.builder import TreeBuilder
from infrastructure.transparency.files import AuditFiles, signer

ORIGIN = "log.example/kefu"
CALLS = ("write", "pwrite", "pwritev", "fsync", "fdatasync", "rename", "mkdir", "rmdir", "unlink")
STEP = 48
"""Events between two checkpoints: no divisor of a tile's width."""


def build(data: Path, count: int) -> None:
    """Catch up, unless the count of calls is over before."""
    files = AuditFiles.under(data)
    left = [count]

    def deadly(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0]:
                return original(*arguments, **named)
            if isinstance(arguments[-1], bytes) and len(arguments[-1]) > 1:
                original(*arguments[:-1], arguments[-1][: len(arguments[-1]) // 2])
            elif count % 2:
                original(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("unreachable")

        return call

    say = os.write
    with (
        mock.patch.multiple(os, **{name: deadly(getattr(os, name)) for name in CALLS}),
        mock.patch.object(building, "BATCH", STEP),
        mock.patch.object(opening, "_BATCH", STEP),
    ):
        tree = TreeBuilder(files, signer(files, ORIGIN))
        tree.open()
        more = True
        while more:
            more = tree.advance()
            if (note := tree.checkpoint()) is not None:
                say(1, b"note " + base64.b64encode(note) + b"\n")


def main() -> None:
    """Fork a builder a line."""
    data = Path(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                build(data, int(line))
                os._exit(0)
            finally:
                traceback.print_exc()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        os.write(1, b"dead %d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
