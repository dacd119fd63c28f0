"""A process that writes the full tiles of ranges: `python -m` this module, see `catching_up`.

Arguments are the log's directory and the tree's. For each line `FIRST` on standard input, the index
of a range's first leaf, it answers `FIRST HASHES`, the hashes over its tiles in base64. It ends at
the end of its input, in the middle of a range too: who started it is gone then, and whoever comes
after waits for this copy of the lock to be closed.
Any failure ends it; the one that started it meets the same failure itself and says so.
"""

import os
import select
import signal
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infrastructure.transparency.edge import Edge
from infrastructure.transparency.event_leaves import EventLeaves
from infrastructure.transparency.tile_writer import TileWriter
from infrastructure.transparency.tiles import WIDTH

RANGE: Final = 64 * WIDTH
"""Leaves of a range, a tenth of a second of work; an answer is less than a pipe takes at once
(PIPE_BUF), so that it comes whole."""
_BATCH: Final = 4_096
"""Leaves between two looks at whether anybody still waits for them: some 30 ms."""
_LINE_BYTES: Final = 64


def build(
    log: EventLeaves, directory: Path, first: int, gone: Callable[[], bool] = lambda: False
) -> list[bytes] | None:
    """Write the tiles and bundles of a range, unflushed.

    Args:
        log: Has all of its events.
        directory: Of the tree.
        first: Index of its first leaf, a multiple of a tile's width.
        gone: Whether to give up.

    Returns:
        The hash of the subtree over each tile; None: it was given up.

    Raises:
        CorruptLog: the log is damaged, or ends before.
        OSError: what is on disk is not known.
    """
    edge = Edge()
    edge.size = first
    writer = TileWriter(directory, edge, [])
    end = first + RANGE
    while edge.size < end:
        if gone():
            return None
        writer.extend(log.read(edge.size, min(_BATCH, end - edge.size)))
    return edge.levels[1]


def main() -> None:
    """Until the end of standard input."""
    # A terminal's Ctrl-C is for the role, which ends this one when it has ended its own work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = EventLeaves(Path(sys.argv[1]))
    directory = Path(sys.argv[2])
    poller = select.poll()
    poller.register(0, 0)  # tells of the other end's closing only

    def gone() -> bool:
        return bool(poller.poll(0))

    while line := os.read(0, _LINE_BYTES):
        found = build(log, directory, int(line), gone)
        if found is None:
            return
        os.write(1, b"%s %s\n" % (line.strip(), b64encode(b"".join(found))))


if __name__ == "__main__":
    main()
