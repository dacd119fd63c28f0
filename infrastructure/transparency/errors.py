"""What can be wrong with the transparency log and what it hands out, as a tree.

::

    KefuError
    ├── InfrastructureError
    │   ├── AuditContradiction   log, tiles or a checkpoint say different things; names a position
    │   ├── MissingTile          a tile that a checkpoint needs is not there, or not whole
    │   ├── BadNote              not a signed note, or not signed by the key that was asked for
    │   ├── BadReceipt           not a receipt, or it proves something else
    │   └── NotText              an event that an archive of text can't hold
    ├── Unavailable
    │   └── NotCovered           no checkpoint covers the position yet; try again
    └── InvalidInput
        ├── BadKey               not a signing key, verifier key or name
        └── NothingToExport      no event passes the filter
"""

from domain.errors import InfrastructureError, InvalidInput, Unavailable


class AuditContradiction(InfrastructureError):
    """Log, tiles or checkpoint say different things. Nothing is signed until that is explained."""

    code = "audit-contradiction"

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"position {position}: {reason}")
        self.position = position
        """First position that is known to be concerned."""
        self.reason = reason


class MissingTile(InfrastructureError):
    """A tile is not there, or shorter than the checkpoint says. Tiles are rebuilt from the log."""

    code = "audit-missing-tile"

    def __init__(self, path: str, reason: str = "is missing") -> None:
        super().__init__(f"tile {path} {reason}")
        self.path = path


class NotCovered(Unavailable):
    """The position is not in the log, or no checkpoint covers it yet."""

    code = "audit-not-covered"

    def __init__(self, position: int, size: int) -> None:
        super().__init__(
            f"Position {position} is not covered by a checkpoint: the last one has {size} events. "
            "The role `audit` of `kefu serve` makes the next one within seconds."
        )


class BadNote(InfrastructureError):
    """Not a signed note of the key that was asked for."""

    code = "audit-bad-note"


class BadReceipt(InfrastructureError):
    """Not a receipt, or one that does not prove what it should."""

    code = "audit-bad-receipt"


class BadKey(InvalidInput):
    """Not a signing key, a verifier key, or a name that a log may have."""

    code = "audit-bad-key"


class NotText(InfrastructureError):
    """Payload or metadata of an event is not UTF-8: another program wrote it into the log."""

    code = "audit-not-text"

    def __init__(self, position: int) -> None:
        super().__init__(f"The event at position {position} is no text; leave it out by a filter.")


class NothingToExport(InvalidInput):
    """No event passes the filter."""

    code = "nothing-to-export"

    def __init__(self) -> None:
        super().__init__("No event is in that period and passes the filters; nothing was written.")
