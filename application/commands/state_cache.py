"""Folded states of aggregates in memory, the write side's only cache.

The log is the authority: an entry may always be dropped, and after any failed append all are,
because states may then hold events that never reached the disk.
"""

from collections import OrderedDict
from typing import Any, Final

import msgspec

DEFAULT_CAPACITY: Final = 50_000
"""Entries a category; far above what one group commit can touch, so that a state whose events
are still on their way to the disk is not dropped before they are there."""


class CachedState(msgspec.Struct, frozen=True, gc=False):
    """A state with the version of the last event folded into it."""

    version: int
    state: Any


class StateCache:
    """Least recently used states, bounded by category."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._by_category: dict[str, OrderedDict[str, CachedState]] = {}

    def get(self, category: str, id: str) -> CachedState | None:
        """The state, now the most recently used; None if it is not here."""
        entries = self._by_category.get(category)
        if entries is None:
            return None
        found = entries.get(id)
        if found is not None:
            entries.move_to_end(id)
        return found

    def put(self, category: str, id: str, entry: CachedState) -> None:
        """Keep a state; the least recently used of its category may go."""
        entries = self._by_category.get(category)
        if entries is None:
            entries = self._by_category[category] = OrderedDict()
        entries[id] = entry
        entries.move_to_end(id)
        if len(entries) > self._capacity:
            entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, after a failure."""
        self._by_category.clear()

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._by_category.values())
