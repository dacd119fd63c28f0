"""Makes building an index as slow as a test likes."""

import threading
from collections.abc import Iterable, Sequence

import pytest

from infrastructure.eventlog.index import Checkpoint, Index

PATIENCE_S = 30.0


class Gate:
    """In front of each new table: lets through as many as it was told."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.checkpoints: list[Checkpoint] = []
        self._permits = threading.Semaphore(0)
        self._open = False

    def let(self, tables: int) -> None:
        for _ in range(tables):
            self._permits.release()

    def open(self) -> None:
        self._open = True
        self._permits.release()

    def stand_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Index.add_entries

        def add_entries(
            at: Index, entries: int, chunks: Iterable[Sequence[bytes]], checkpoint: Checkpoint
        ) -> None:
            if not self._open:
                self.waiting.set()
                assert self._permits.acquire(timeout=PATIENCE_S)
            real(at, entries, chunks, checkpoint)
            self.checkpoints.append(checkpoint)

        monkeypatch.setattr(Index, "add_entries", add_entries)
