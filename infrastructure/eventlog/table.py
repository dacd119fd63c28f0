"""One immutable file of the index: runs of events, sorted by stream, found by one hash.

Sections, in the order of the file; all of it is drawn in docs/formats/segment.md:

- header: what it covers, how many entries, where in the log it ends, checksums;
- filter: a word of 32 bits for one or two entries, in which each entry sets 3 bits (a blocked Bloom
  filter, Putze et al., Cache-, Hash- and Space-Efficient Bloom Filters, 2007): a stream that is not
  here is told by one look at one word, but once in 100 times (2 to 4 bytes an entry stay in the
  page cache, not 40);
- fences: for each bucket of about 8 entries, the number of the first entry in it;
- entries: key (16 bytes of hash, version of the run's first event), then where the run is.

Keys are hashes, evenly spread: the word is found by a shift, the bucket by multiplication, and
within the bucket `bytes.find` looks.
"""

import mmap
import os
import struct
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import google_crc32c

MAGIC: Final = b"KEFUIDX\x03" if sys.byteorder == "little" else b"KEFUIDX\x83"
"""The filter's words are in the machine's own order: a table is not carried to another one."""
HEADER: Final = struct.Struct("<8s16sQQQQQQIIII")
HEADER_BYTES: Final = HEADER.size + 4
ENTRY_BYTES: Final = 40
KEY_BYTES: Final = 16
_ENTRY: Final = struct.Struct(">16sIQIII")
"""Key, version of the first event; position, offset of frame, of record in it; how many."""
_FENCES: Final = struct.Struct("<II")
PER_BUCKET: Final = 8
PREFIX_BYTES: Final = 4
"""Of the key, which choose word and bucket; the next two choose the bits of the word."""
PROBE: Final = struct.Struct(">IH")
_WORD_BITS: Final = 30
"""That are used: such numbers are the fastest that Python has."""
FILTER_AT: Final = HEADER_BYTES

Run = tuple[int, int, int, int, int]
"""Neighbouring events of a stream in a frame: version of the first, how many, position of the
first, offset of the frame within its segment, offset of the first one's record in the frame.
A plain tuple: the writer makes one for each append, and it costs a fifth of a NamedTuple."""

pack_entry: Final = _ENTRY.pack


Probe = tuple["Table", "memoryview[int]", int]
"""A table, the words of its filter, and the shift that finds one by a key's first 4 bytes."""


class BadTable(Exception):
    """The file is no table, or not one of this format; it is a cache and can be made again."""


class Coverage(NamedTuple):
    """Which part of which log a table holds."""

    log_uuid: bytes
    """Of the log's first segment."""
    first: int
    last: int
    """Positions."""
    segment_base: int
    frame_offset: int
    """Of the frame that ends with `last`."""
    frame_crc: int


class Table:
    """An open table. Safe for several threads; the map goes when nobody uses it any more."""

    def __init__(self, path: Path) -> None:
        """Open and check the header.

        Raises:
            BadTable: it is none.
        """
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER_BYTES:
                raise BadTable("cut short")
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        header = self._map[:HEADER_BYTES]
        self.entries: int
        self._buckets: int
        magic, uuid, first, last, base, offset, self.entries, self._buckets, crc, *rest = (
            HEADER.unpack_from(header)
        )
        self._crcs = tuple(rest)
        if magic != MAGIC or google_crc32c.value(header[:-4]) != int.from_bytes(header[-4:]):
            raise BadTable("header fails its checks")
        self.covers = Coverage(uuid, first, last, base, offset, crc)
        words, self._shift = filter_words(self.entries)
        self._fences = FILTER_AT + 4 * words
        self._entries = self._fences + 4 * (self._buckets + 1)
        if size != self._entries + ENTRY_BYTES * self.entries:
            raise BadTable("cut short")
        self._filter = memoryview(self._map)[FILTER_AT : self._fences].cast("I")
        # Read-ahead would fill the page cache with pages that nobody asked for.
        self._map.madvise(mmap.MADV_RANDOM)

    def check(self) -> None:
        """Read all of it.

        Raises:
            BadTable: a section fails its checksum.
        """
        ends = (FILTER_AT, self._fences, self._entries, len(self._map))
        for start, end, expected in zip(ends, ends[1:], self._crcs, strict=False):
            crc = 0
            for at in range(start, end, 1 << 20):
                crc = google_crc32c.extend(crc, self._map[at : min(end, at + (1 << 20))])
            if crc != expected:
                raise BadTable(f"{self.path.name} fails its checksum at bytes {start} to {end}")

    def find(self, key: bytes) -> range | None:
        """Numbers of the entries with this key (16 bytes); None: there are none."""
        prefix, bits = PROBE.unpack_from(key)
        mask = masks()[bits]
        if self._filter[prefix >> self._shift] & mask != mask:
            return None
        data = self._map
        bucket = prefix * self._buckets >> 32
        low, high = _FENCES.unpack_from(data, self._fences + 4 * bucket)
        base = self._entries
        at = data.find(key, base + ENTRY_BYTES * low, base + ENTRY_BYTES * high)
        if at < 0:
            return None
        start = (at - base) // ENTRY_BYTES
        return range(start, self._end_of(key, start, high))

    def probe(self) -> Probe:
        """For `none_has`."""
        return self, self._filter, self._shift

    def _end_of(self, key: bytes, start: int, high: int) -> int:
        """Number behind the last entry of a key whose first is `start`, by halving."""
        low = start + 1
        while low < high:
            middle = (low + high) // 2
            at = self._entries + ENTRY_BYTES * middle
            if self._map[at : at + KEY_BYTES] == key:
                low = middle + 1
            else:
                high = middle
        return low

    def run(self, number: int) -> Run:
        """An entry, by its number."""
        _, first, position, frame, record, count = _ENTRY.unpack_from(
            self._map, self._entries + ENTRY_BYTES * number
        )
        return (first, count, position, frame, record)

    def first_after(self, entries: range, version: int) -> int:
        """Number of the first of a key's entries that has an event behind a version; by halving."""
        low, high = entries.start, entries.stop
        while low < high:
            middle = (low + high) // 2
            first, count, *_ = self.run(middle)
            if first + count - 1 > version:
                high = middle
            else:
                low = middle + 1
        return low

    def between(self, low: int, high: int) -> list[bytes]:
        """Entries whose keys begin with 4 bytes (as a number) of `low` or more, below `high`."""
        start, end = self._number_at(low), self._number_at(high)
        base = self._entries
        data = self._map[base + ENTRY_BYTES * start : base + ENTRY_BYTES * end]
        return [data[at : at + ENTRY_BYTES] for at in range(0, len(data), ENTRY_BYTES)]

    def _number_at(self, prefix: int) -> int:
        """Number of the first entry whose key begins with at least these 4 bytes."""
        if prefix >= 1 << 32:
            return self.entries
        bucket = prefix * self._buckets >> 32
        low: int
        high: int
        low, high = _FENCES.unpack_from(self._map, self._fences + 4 * bucket)
        wanted = prefix.to_bytes(PREFIX_BYTES, "big")
        while low < high:
            middle = (low + high) // 2
            at = self._entries + ENTRY_BYTES * middle
            if self._map[at : at + PREFIX_BYTES] < wanted:
                low = middle + 1
            else:
                high = middle
        return low


@cache
def masks() -> list[int]:
    """The bits that a key sets in its word, by two of its bytes as a number."""
    bit, n = [1 << place for place in range(_WORD_BITS)], _WORD_BITS
    return [bit[i % n] | bit[i // n % n] | bit[i // n**2 % n] for i in range(1 << 16)]


def none_has(key: bytes, probes: Sequence[Probe]) -> bool:
    """Whether no table has the key: `Table.find` for many, with no call for each."""
    prefix, bits = PROBE.unpack_from(key)
    mask = masks()[bits]
    for table, words, shift in probes:
        if words[prefix >> shift] & mask == mask and table.find(key) is not None:
            return False
    return True


def filter_words(entries: int) -> tuple[int, int]:
    """How many words the filter has, a power of two, and the shift that finds one by a key's first
    4 bytes.
    """
    power = max(0, (entries - 1).bit_length() - 1)
    return 1 << power, 32 - power
