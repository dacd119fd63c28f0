"""Writing a table of the index; `table` describes it and reads it."""

import os
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import google_crc32c

from infrastructure.eventlog.disk import sync_directory
from infrastructure.eventlog.table import (
    ENTRY_BYTES,
    FILTER_AT,
    HEADER,
    MAGIC,
    PER_BUCKET,
    PREFIX_BYTES,
    PROBE,
    Coverage,
    Table,
    filter_words,
    masks,
)

_PROBES: Final = struct.Struct(f">IH{ENTRY_BYTES - PROBE.size}x")


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
    buckets, (words, shift) = max(1, entries // PER_BUCKET), filter_words(entries)
    fences_at = FILTER_AT + 4 * words
    body = fences_at + 4 * (buckets + 1)
    crcs = [0, 0, 0]
    done = bucket = word = 0
    for chunk, fences, whole in _sections(chunks, entries, buckets, words, shift):
        for section, at, data in (
            (0, FILTER_AT + 4 * word, whole.tobytes()),
            (1, fences_at + 4 * bucket, struct.pack(f"<{len(fences)}I", *fences)),
            (2, body + ENTRY_BYTES * done, chunk),
        ):
            crcs[section] = google_crc32c.extend(crcs[section], data)
            _pwrite(fd, data, at)
        done += len(chunk) // ENTRY_BYTES
        bucket += len(fences)
        word += len(whole)
    if done != entries:
        raise ValueError(f"{done} entries where {entries} were promised")
    uuid, first, last, base, offset, frame_crc = covers
    header = HEADER.pack(MAGIC, uuid, first, last, base, offset, entries, buckets, frame_crc, *crcs)
    _pwrite(fd, header + google_crc32c.value(header).to_bytes(4), 0)


def _sections(
    chunks: Iterable[Sequence[bytes]], entries: int, buckets: int, words: int, shift: int
) -> Iterator[tuple[bytes, list[int], "array[int]"]]:
    """The bytes of each chunk, with the fences and the words of the filter that are complete with
    it; what is left of both in the end.
    """
    bucket = done = word = begun = 0
    for chunk in chunks:
        if not chunk:
            continue
        prefix: int
        prefix, _ = PROBE.unpack_from(chunk[-1])
        fences, at = [], 0
        for number in range(bucket, (prefix * buckets >> 32) + 1):
            first = -(-(number << 32) // buckets)
            at = bisect_left(chunk, first.to_bytes(PREFIX_BYTES, "big"), at)
            fences.append(done + at)
        data = b"".join(chunk)
        whole = [0] * ((prefix >> shift) - word + 1)
        whole[0] = begun
        bits = masks()
        for prefix, which in _PROBES.iter_unpack(data):
            whole[(prefix >> shift) - word] |= bits[which]
        begun = whole.pop()  # the next chunk may go on with this word
        done += len(chunk)
        bucket += len(fences)
        word += len(whole)
        yield data, fences, array("I", whole)
    left = [begun, *[0] * (words - word - 1)]
    yield b"", [entries] * (buckets + 1 - bucket), array("I", left)


def _pwrite(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
