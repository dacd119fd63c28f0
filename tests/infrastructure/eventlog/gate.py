"""Makes building an index as slow as a test likes."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from infrastructure.eventlog.index import Checkpoint, Index

PATIENCE_S = 60.0


class Gate:
    """In front of each new table of one log: lets through as many as it was told. Logs that other
    tests of this process have open pass by.
    """

    def __init__(self, log: Path) -> None:
        self.waiting = threading.Event()
        self.checkpoints: list[Checkpoint] = []
        self._index = log / "index"
        self._changed = threading.Condition()
        self._permits = 0.0

    def let(self, tables: float) -> None:
        with self._changed:
            self._permits += tables
            self._changed.notify_all()

    def open(self) -> None:
        self.let(float("inf"))

    def stand_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Index.add_entries

        def add_entries(
            at: Index, entries: int, chunks: Iterable[Sequence[bytes]], checkpoint: Checkpoint
        ) -> None:
            if at._directory != self._index:
                real(at, entries, chunks, checkpoint)
                return
            self.waiting.set()
            with self._changed:
                assert self._changed.wait_for(lambda: self._permits >= 1, PATIENCE_S)
                self._permits -= 1
            real(at, entries, chunks, checkpoint)
            self.checkpoints.append(checkpoint)

        monkeypatch.setattr(Index, "add_entries", add_entries)
