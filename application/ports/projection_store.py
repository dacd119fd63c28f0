"""Where read models are written: rows and tracking in one transaction."""

from typing import Protocol

from application.projections.records import Changes, Keys, Records
from domain.errors import InfrastructureError


class BadRow(InfrastructureError):
    """The store refuses the data of a batch itself; trying again would not help."""

    code = "bad-row"


class ProjectionStore(Protocol):
    """One set of read models. Every method raises `Unavailable` while it does not answer."""

    def position(self) -> int:
        """Position of the last event that the read models hold; 0: none."""
        ...

    def load(self, keys: Keys) -> Records:
        """Those of the named rows that exist."""
        ...

    def commit(self, changes: Changes, after: int, position: int) -> None:
        """Write a batch and move the position from `after` to `position`, or neither.

        Raises:
            BadRow: the data can't be stored.
            Conflict: the position is no longer `after`: another projector is at work.
        """
        ...
