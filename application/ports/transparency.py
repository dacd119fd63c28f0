"""The transparency log as those see it who only read it."""

from typing import Protocol

import msgspec


class AuditState(msgspec.Struct, frozen=True):
    """What `/readyz` shows of the builder."""

    size: int = 0
    """Events that the last checkpoint covers."""
    refused: str | None = None
    """Why nothing is signed any more; None: it is."""


class TransparencyLog(Protocol):
    """Checkpoint, tiles and receipts. All calls block on files: make them in a thread.

    Source: docs/formats/transparency.md.
    """

    def checkpoint(self) -> bytes | None:
        """The signed note of the last checkpoint; None: none yet."""
        ...

    def tile(self, path: str) -> bytes | None:
        """A tile or entry bundle that the last checkpoint covers, by what is behind `tile/` in its
        path; None: there is none of this path.
        """
        ...

    def receipt(self, position: int, timeout_s: float) -> bytes:
        """Receipt of an event, as text; waits for a checkpoint that covers it.

        Raises:
            Unavailable: none did in time.
            InfrastructureError: tiles and checkpoint do not fit.
        """
        ...

    def state(self) -> AuditState:
        """What the builder said last."""
        ...
