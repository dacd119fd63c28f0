"""Rows of conversations as the projector left them, so that a batch need not read what the one
before it wrote.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from application.projections.records import Changes, ConversationRecord

CAPACITY: Final = 10_000
"""Conversations, some 10 MB."""


class KeptRows:
    """Those of one set of views, in which nobody else writes conversations.

    What is taken out is gone until its batch is committed: a batch that fails leaves none of its
    rows, which a fold changes in place, behind.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[str, ConversationRecord] = OrderedDict()

    def take(self, ids: Iterable[str]) -> dict[str, ConversationRecord]:
        """Those that are known."""
        found = {}
        for id in ids:
            row = self._rows.pop(id, None)
            if row is not None:
                found[id] = row
        return found

    def committed(self, changes: Changes) -> None:
        """Keep what a batch has written; not what the database has counted by itself."""
        rows = self._rows
        for id, row in changes.records.conversations.items():
            if id not in changes.recount_unread:
                rows[id] = row
        while len(rows) > self._capacity:
            rows.popitem(last=False)

    def clear(self) -> None:
        """Other views, or somebody else was at work in these."""
        self._rows.clear()
