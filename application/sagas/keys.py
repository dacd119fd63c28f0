"""Idempotency keys: `refund-<saga id>-payment-1`, and `...-undo` for a compensation."""

import re
from typing import Final

from domain.saga.events import Direction

_KEY: Final = re.compile(
    r"[a-z_]+-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"-[a-z0-9_]+-[1-9][0-9]{0,5}(-undo)?"
)


def key_of(definition: str, saga_id: str, step: str, group: int, direction: Direction) -> str:
    """The key of an attempt group: the same on every retry, also after a crash."""
    undo = "-undo" if direction is Direction.BACKWARD else ""
    return f"{definition}-{saga_id}-{step}-{group}{undo}"


def saga_of(key: str) -> str | None:
    """The saga that a key belongs to; None: it is not one of ours."""
    found = _KEY.fullmatch(key)
    return found and found[1]
