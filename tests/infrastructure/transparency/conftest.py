"""A small log with a tree over it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog.store import EventLog
from infrastructure.transparency.builder import TreeBuilder
from infrastructure.transparency.files import AuditFiles, signer
from infrastructure.transparency.signed_note import Checkpoint, Signer, open_checkpoint


class Tree:
    """A log, written by us, and what is needed to build its tree."""

    def __init__(self, data: Path, segment_bytes: int = 40_000) -> None:
        self.files = AuditFiles.under(data)
        self.log = EventLog.open(self.files.log, max_segment_bytes=segment_bytes)

    @property
    def signer(self) -> Signer:
        return signer(self.files, "log.example/kefu")

    def append(self, count: int, batch: int = 10, text: str = "说") -> None:
        """So many events; each batch is a command with metadata of its own."""
        for start in range(0, count, batch):
            first = self.log.durable_position
            metadata = json.dumps({"actor_id": f"a{first}"}).encode()
            appends = [
                StreamAppend(
                    f"message-{first + number}" if number % 2 else "conversation-1",
                    ANY_VERSION,
                    [NewEvent("message.sent.v1", f"{text} {first + number}".encode(), metadata)],
                )
                for number in range(min(batch, count - start))
            ]
            self.log.append_sync([appends])

    def build(self) -> Checkpoint:
        """Catch up and sign."""
        builder = TreeBuilder(self.files, self.signer)
        try:
            assert builder.open()
            while builder.advance():
                pass
            builder.checkpoint()
            assert builder.signed is not None
            return open_checkpoint(builder.signed, self.signer.verifier)
        finally:
            builder.close()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path / "data")
    yield made
    made.log.close()
