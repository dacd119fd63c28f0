"""Catching up by several processes, each writing the full tiles of a range of leaves (ADR 0021).

The tree is still one process's: it adopts the hashes over these tiles in order, and alone writes
the tiles above them and partial ones, flushes, and signs. A process that dies costs its range,
which is done again.
"""

import os
import select
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Final

import structlog

from infrastructure.transparency import range_worker
from infrastructure.transparency.range_worker import RANGE
from infrastructure.transparency.tile_writer import TileWriter
from infrastructure.transparency.tiles import WIDTH, split_hashes

FAR: Final = 16 * RANGE
"""Leaves behind the log from which on it is worth while to start processes: some seconds."""
_AHEAD: Final = 2
"""Ranges a process that may be done before the first of them is adopted."""
_DEATHS: Final = 3
"""Processes that may die without a range being done between."""
_WAIT_S: Final = 0.25
_READ_BYTES: Final = 4_096
_log = structlog.get_logger(__name__)


def up_to_tile(size: int) -> int:
    """Leaves up to the end of a tile, from where processes can go on; any number at such an end."""
    return WIDTH - size % WIDTH if size % WIDTH else sys.maxsize


class _Worker:
    """A process and the range that it does."""

    def __init__(self, log: Path, directory: Path, keep: tuple[int, ...]) -> None:
        self.first: int | None = None
        """Index of the range's first leaf; None: it waits for one."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", range_worker.__name__, log, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=keep,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self.source = self.process.stdin.fileno(), self.process.stdout.fileno()

    def give(self, first: int) -> None:
        """A range to do."""
        self.first = first
        try:
            os.write(self._to, b"%d\n" % first)
        except BrokenPipeError:
            return  # it has died, which reading shows

    def answer(self) -> list[bytes] | None:
        """Hashes over the tiles of its range, once it has said something; None: it has died."""
        words = os.read(self.source, _READ_BYTES).split()
        if len(words) != 2 or int(words[0]) != self.first:
            return None
        self.first = None
        return split_hashes(b64decode(words[1]))

    def end(self) -> int:
        """End it, whatever it does; returns its exit status."""
        self.process.kill()
        with self.process:
            return self.process.wait()


class CatchUp:
    """Worker processes while the tree is far behind, none otherwise."""

    def __init__(self, log: Path, processes: int, keep: tuple[int, ...] = ()) -> None:
        """
        Args:
            log: The log's directory.
            processes: How many; under 2: never any.
            keep: Descriptors that they inherit: the builder's lock, so that nobody else builds
                this tree as long as one of them lives.
        """
        self._log = log
        self._most = processes
        self._keep = keep
        self._workers: list[_Worker] = []
        self._done: dict[int, list[bytes]] = {}
        """First leaf -> hashes, of ranges that the tree has not reached yet."""
        self._deaths = 0

    @property
    def processes(self) -> list[int]:
        """Ids of those that are at work."""
        return [worker.process.pid for worker in self._workers]

    def advance(self, writer: TileWriter, end: int) -> bool:
        """Adopt what was made meanwhile, waiting a moment for it.

        Args:
            writer: Of the tree; one and the same until `close`.
            end: Leaves that the log has.

        Returns:
            Whether they are at work; False: the next leaves are the caller's.
        """
        size = writer.edge.size
        if self._most < 2 or self._deaths >= _DEATHS or size % WIDTH:
            return False
        if end - size < (RANGE if self._workers else FAR):
            self.close()
            return False
        self._hand_out(writer, end)
        self._gather()
        while (found := self._done.pop(writer.edge.size, None)) is not None:
            writer.adopt(found)
        if self._deaths >= _DEATHS:
            _log.error("audit.helpers_given_up", deaths=self._deaths)
            self.close()
        return True

    def close(self) -> None:
        """End all; what they were at is forgotten."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._done.clear()

    def _hand_out(self, writer: TileWriter, end: int) -> None:
        first = writer.edge.size
        stop = min(end - RANGE, first + _AHEAD * self._most * RANGE - 1)
        taken = {worker.first for worker in self._workers if worker.first is not None}
        known = taken | self._done.keys()
        missing = [at for at in range(first, stop + 1, RANGE) if at not in known]
        while len(self._workers) < min(self._most, len(missing) + len(taken)):
            self._workers.append(_Worker(self._log, writer.directory, self._keep))
        idle = [worker for worker in self._workers if worker.first is None]
        for worker, at in zip(idle, missing, strict=False):
            worker.give(at)

    def _gather(self) -> None:
        poller = select.poll()
        by_source = {worker.source: worker for worker in self._workers}
        for source in by_source:
            poller.register(source, select.POLLIN)
        for source, _ in poller.poll(_WAIT_S * 1000):
            worker = by_source[source]
            first = worker.first
            found = worker.answer()
            if found is None or first is None:
                self._workers.remove(worker)
                self._deaths += 1
                _log.error("audit.helper_died", status=worker.end(), first=first)
            else:
                self._done[first] = found
                self._deaths = 0
