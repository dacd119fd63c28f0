"""A number a connection, by its id, in a few bytes.

Ids are monotonic and never used again, so those that are open lie close together: the numbers stand
in pages of 64, and a page goes with its last one. A dict of ints takes 74 bytes an entry (CPython
3.11); this takes the number and about 3 bytes beside it where ids are dense, a page (at most 0.6
KB) for a connection that outlived its 63 neighbours.
"""

from array import array
from typing import Final, Literal

SHIFT: Final = 6
MASK: Final = (1 << SHIFT) - 1


class IdTable:
    """Unsigned numbers by id; 0 is the same as none.

    Args:
        typecode: `I` for 32 bits, `Q` for 64.
    """

    __slots__ = ("_blank", "pages")

    def __init__(self, typecode: Literal["I", "Q"]) -> None:
        self._blank = array(typecode, bytes(array(typecode).itemsize << SHIFT))
        self.pages: dict[int, array[int]] = {}
        """Page `id >> SHIFT` has the id's number at `id & MASK`. For hot paths, which may change
        numbers that are not 0 to others that are not 0.
        """

    def __getitem__(self, id_: int) -> int:
        page = self.pages.get(id_ >> SHIFT)
        return page[id_ & MASK] if page is not None else 0

    def __setitem__(self, id_: int, number: int) -> None:
        page = self.pages.get(id_ >> SHIFT)
        if page is None:
            page = self.pages[id_ >> SHIFT] = self._blank[:]
        page[id_ & MASK] = number

    def pop(self, id_: int) -> int:
        """The id's number, which it no longer has."""
        page = self.pages.get(id_ >> SHIFT)
        if page is None:
            return 0
        number = page[id_ & MASK]
        if number:
            page[id_ & MASK] = 0
            # Nearly always over at the first neighbour.
            if not any(page):
                del self.pages[id_ >> SHIFT]
        return number
