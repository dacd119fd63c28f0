"""What providers report by themselves: counted, and refused a sender at a time."""

from collections import Counter
from typing import Final

MAX_CALLBACK_BYTES: Final = 64 * 1024


class CallbackStats:
    """Plain numbers that a metrics collector reads."""

    def __init__(self) -> None:
        self.taken: Counter[tuple[str, str]] = Counter()
        """(provider, result): `taken`, `unknown`, `refused`."""
