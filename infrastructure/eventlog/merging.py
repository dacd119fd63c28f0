"""Making few large tables of many small ones, beside the writer.

Neighbours of about the same size are merged as soon as there are `FAN_OUT` of them, so an entry is
written again once for each power of `FAN_OUT`, and a look-up asks a few tables of each size
(O'Neil et al., The Log-Structured Merge-Tree, 1996). Keys are spread evenly, so a merge goes
through slices of the key space: memory does not depend on the tables' size.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from infrastructure.eventlog.table import Table
from infrastructure.eventlog.table_writing import write_table

FAN_OUT: Final = 8
_SMALL: Final = 1 << 17
"""Entries; below it all tables count as one size."""
_CHUNK: Final = 4_096
"""Entries that are sorted at once: about a millisecond in which no other thread has its turn."""
_REST: Final = 1.0
"""Time that is left to others for each time of work."""


def to_merge(tables: Sequence[Table]) -> slice | None:
    """Which neighbours to merge now; None: all is well."""
    end = len(tables)
    while end > 0:
        tier = _tier(tables[end - 1])
        start = end
        while start > 0 and _tier(tables[start - 1]) <= tier:
            start -= 1
        if end - start >= FAN_OUT:
            return slice(start, end)
        end = start
    return None


def merge(path: Path, tables: Sequence[Table], stop: Callable[[], bool]) -> Table | None:
    """One durable table with the entries of neighbouring ones; None: it was stopped.

    Raises:
        BadTable: one of them fails its checksum; nothing was made of it.
        OSError: the disk is full, or fails.
    """
    for table in tables:
        if stop():
            return None
        table.check()
    entries = sum(table.entries for table in tables)
    covers = tables[-1].covers._replace(first=tables[0].covers.first)
    try:
        return write_table(path, covers, entries, _chunks(tables, entries, stop))
    except _Stopped:
        return None


class _Stopped(Exception):
    pass


def _tier(table: Table) -> int:
    size, tier = _SMALL, 0
    while table.entries > size:
        size *= FAN_OUT
        tier += 1
    return tier


def _chunks(
    tables: Sequence[Table], entries: int, stop: Callable[[], bool]
) -> Iterator[list[bytes]]:
    slices = max(1, entries // _CHUNK)
    for number in range(slices):
        if stop():
            raise _Stopped
        began = time.perf_counter()
        low, high = (number << 32) // slices, ((number + 1) << 32) // slices
        chunk: list[bytes] = []
        for table in tables:
            chunk += table.between(low, high)
        chunk.sort()  # of sorted pieces: merges them (timsort)
        yield chunk
        time.sleep(_REST * (time.perf_counter() - began))
