"""One immutable file of the index: runs of events, sorted by stream, found by one hash.

Sections, in the order of the file; all of it is drawn in docs/formats/segment.md:

- header: what it covers, how many entries, where in the log it ends, checksums;
- fences: for each bucket of about 8 entries, the number of the first entry in it;
- fingerprints: 2 bytes of each entry's key, so that a stream that is not here is nearly always
  told without touching the entries (2.5 bytes an entry stay in the page cache, not 40);
- entries: key (16 bytes of hash, version of the run's first event), then where the run is.

Keys are hashes, evenly spread: the bucket is found by multiplication, within it `bytes.find` looks.
"""

import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import google_crc32c

from infrastructure.eventlog.disk import sync_directory

_MAGIC: Final = b"KEFUIDX\x02"
_HEADER: Final = struct.Struct("<8s16sQQQQQQIIII")
HEADER_BYTES: Final = _HEADER.size + 4
ENTRY_BYTES: Final = 40
KEY_BYTES: Final = 16
_ENTRY: Final = struct.Struct(">16sIQIII")
"""Key, version of the first event; position, offset of frame, of record in it; how many."""
_FENCES: Final = struct.Struct("<II")
_PER_BUCKET: Final = 8
_PRINT_AT, _PRINT_END = 4, 6
"""Bytes of the key that are its fingerprint; those before choose the bucket."""

Run = tuple[int, int, int, int, int]
"""Neighbouring events of a stream in a frame: version of the first, how many, position of the
first, offset of the frame within its segment, offset of the first one's record in the frame.
A plain tuple: the writer makes one for each append, and it costs a fifth of a NamedTuple."""

pack_entry: Final = _ENTRY.pack


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
            _HEADER.unpack_from(header)
        )
        self._crcs = tuple(rest)
        if magic != _MAGIC or google_crc32c.value(header[:-4]) != int.from_bytes(header[-4:]):
            raise BadTable("header fails its checks")
        self.covers = Coverage(uuid, first, last, base, offset, crc)
        self._prints = HEADER_BYTES + 4 * (self._buckets + 1)
        self._entries = self._prints + 2 * self.entries
        if size != self._entries + ENTRY_BYTES * self.entries:
            raise BadTable("cut short")
        # Read-ahead would fill the page cache with pages that nobody asked for.
        self._map.madvise(mmap.MADV_RANDOM)

    def check(self) -> None:
        """Read all of it.

        Raises:
            BadTable: a section fails its checksum.
        """
        ends = (HEADER_BYTES, self._prints, self._entries, len(self._map))
        for start, end, expected in zip(ends, ends[1:], self._crcs, strict=False):
            crc = 0
            for at in range(start, end, 1 << 20):
                crc = google_crc32c.extend(crc, self._map[at : min(end, at + (1 << 20))])
            if crc != expected:
                raise BadTable(f"{self.path.name} fails its checksum at bytes {start} to {end}")

    def find(self, key: bytes) -> range | None:
        """Numbers of the entries with this key (16 bytes); None: there are none."""
        data, buckets = self._map, self._buckets
        bucket = int.from_bytes(key[:_PRINT_AT], "big") * buckets >> 32
        low, high = _FENCES.unpack_from(data, HEADER_BYTES + 4 * bucket)
        prints = self._prints
        if data.find(key[_PRINT_AT:_PRINT_END], prints + 2 * low, prints + 2 * high) < 0:
            return None
        base = self._entries
        at = data.find(key, base + ENTRY_BYTES * low, base + ENTRY_BYTES * high)
        if at < 0:
            return None
        start = (at - base) // ENTRY_BYTES
        return range(start, self._end_of(key, start, high))

    def probe(self) -> tuple["Table", mmap.mmap, int, int]:
        """For `none_has`: the table, its bytes, number of buckets, offset of the fingerprints."""
        return self, self._map, self._buckets, self._prints

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
        low, high = _FENCES.unpack_from(self._map, HEADER_BYTES + 4 * bucket)
        wanted = prefix.to_bytes(4, "big")
        while low < high:
            middle = (low + high) // 2
            at = self._entries + ENTRY_BYTES * middle
            if self._map[at : at + _PRINT_AT] < wanted:
                low = middle + 1
            else:
                high = middle
        return low


def none_has(key: bytes, probes: Sequence[tuple[Table, mmap.mmap, int, int]]) -> bool:
    """Whether no table has the key: `Table.find` for many, with no call for each."""
    prefix = int.from_bytes(key[:_PRINT_AT], "big")
    fingerprint = key[_PRINT_AT:_PRINT_END]
    fences = _FENCES.unpack_from
    for table, data, buckets, prints in probes:
        low, high = fences(data, HEADER_BYTES + 4 * (prefix * buckets >> 32))
        maybe = data.find(fingerprint, prints + 2 * low, prints + 2 * high) >= 0
        if maybe and table.find(key) is not None:
            return False
    return True


def write_table(
    path: Path, covers: Coverage, entries: int, chunks: Iterable[Sequence[bytes]]
) -> Table:
    """Make a table durable under its name, from sorted entries that come in chunks.

    Raises:
        OSError: for example, the disk is full; nothing is there under the name.
        ValueError: the chunks do not hold that many entries.
    """
    temporary = path.with_suffix(".new")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write(fd, covers, entries, chunks)
        os.fdatasync(fd)
    except BaseException:
        os.close(fd)
        temporary.unlink(missing_ok=True)
        raise
    os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)
    return Table(path)


def _write(fd: int, covers: Coverage, entries: int, chunks: Iterable[Sequence[bytes]]) -> None:
    buckets = max(1, entries // _PER_BUCKET)
    prints = HEADER_BYTES + 4 * (buckets + 1)
    body = prints + 2 * entries
    crcs = [0, 0, 0]
    done = bucket = 0
    for chunk, fences in _with_fences(chunks, buckets, entries):
        for section, at, data in (
            (0, HEADER_BYTES + 4 * bucket, struct.pack(f"<{len(fences)}I", *fences)),
            (1, prints + 2 * done, b"".join([e[_PRINT_AT:_PRINT_END] for e in chunk])),
            (2, body + ENTRY_BYTES * done, b"".join(chunk)),
        ):
            crcs[section] = google_crc32c.extend(crcs[section], data)
            _pwrite(fd, data, at)
        done += len(chunk)
        bucket += len(fences)
    if done != entries:
        raise ValueError(f"{done} entries where {entries} were promised")
    uuid, first, last, base, offset, frame_crc = covers
    header = _HEADER.pack(
        _MAGIC, uuid, first, last, base, offset, entries, buckets, frame_crc, *crcs
    )
    _pwrite(fd, header + google_crc32c.value(header).to_bytes(4), 0)


def _with_fences(
    chunks: Iterable[Sequence[bytes]], buckets: int, entries: int
) -> Iterator[tuple[Sequence[bytes], list[int]]]:
    """Each chunk with the fences that are known when it is over."""
    bucket = done = 0
    for chunk in chunks:
        fences = []
        at = 0
        last = int.from_bytes(chunk[-1][:_PRINT_AT], "big") * buckets >> 32 if chunk else -1
        while bucket <= last:
            prefix = -(-(bucket << 32) // buckets)
            at = bisect_left(chunk, prefix.to_bytes(4, "big"), at)
            fences.append(done + at)
            bucket += 1
        done += len(chunk)
        yield chunk, fences
    yield (), [entries] * (buckets + 1 - bucket)


def _pwrite(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
