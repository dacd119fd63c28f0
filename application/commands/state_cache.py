"""Folded states of aggregates in memory, the write side's only cache.

The log is the authority: an entry may always be dropped, and after any failed append all are,
because states may then hold events that never reached the disk.
"""

from collections.abc import Callable
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
    """Recently used states, bounded by category.

    Two generations: what is used is in the young one; when that is full, it becomes the old one,
    and what was old and not used since is dropped. A look-up on the path of every command is then
    one of a plain dictionary, with no order to keep.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = max(1, capacity // 2)
        """Of a generation."""
        self._young: dict[str, dict[str, CachedState]] = {}
        self._old: dict[str, dict[str, CachedState]] = {}

    def get(self, category: str, id: str) -> CachedState | None:
        """The state; None if it is not here."""
        young = self._young.get(category)
        if young is None:
            return None
        found = young.get(id)
        if found is None:
            found = self._old[category].get(id)
            if found is not None:
                self.put(category, id, found)
        return found

    def put(self, category: str, id: str, entry: CachedState) -> None:
        """Keep a state; those of its category that were not used for long may go."""
        young = self._young.get(category)
        if young is None:
            young = self._young[category] = {}
            self._old[category] = {}
        young[id] = entry
        if len(young) >= self._capacity:
            self._old[category], self._young[category] = young, {}

    def forget(self, category: str, is_meant: Callable[[Any], bool]) -> None:
        """Drop those states of a category; looks at all of them."""
        for generation in (self._young, self._old):
            entries = generation.get(category, {})
            for id in [id for id, entry in entries.items() if is_meant(entry.state)]:
                del entries[id]

    def clear(self) -> None:
        """Forget everything, after a failure."""
        self._young.clear()
        self._old.clear()

    def __len__(self) -> int:
        """Entries; one that was used again lately may count twice."""
        return sum(len(entries) for part in (self._young, self._old) for entries in part.values())
