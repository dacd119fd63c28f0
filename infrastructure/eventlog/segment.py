"""Segment files: their names, their headers and footers, and their chain.

A segment is named by its base position: `<20 digits>.open` while it is written,
`<20 digits>.seg` when it is sealed (and read-only).

A segment that is only in the archive is listed under the path that it had. Its header and footer
are answered from the archive's manifest; `current_path` fetches a copy of the file.
"""

import itertools
import os
import struct
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from infrastructure.eventlog import format
from infrastructure.eventlog.archive import cache, manifest
from infrastructure.eventlog.errors import CorruptSegment, MissingSegment, NewerFormat
from infrastructure.eventlog.format import (
    Footer,
    InvalidBytes,
    SegmentHeader,
    StreamIndex,
)

OPEN_SUFFIX: Final = ".open"
SEALED_SUFFIX: Final = ".seg"
NEW_SUFFIX: Final = ".new"
"""Of a segment that has no place in the log yet; a crash may leave one behind."""


class Segment(NamedTuple):
    """A segment of a log."""

    path: Path
    base_position: int
    sealed: bool
    remote: bool = False
    """It is only in the archive; nothing is at its path."""


def open_path(directory: Path, base_position: int) -> Path:
    """Path of a segment that is being written."""
    return directory / f"{base_position:020d}{OPEN_SUFFIX}"


def sealed_path(path: Path) -> Path:
    """Path of the same segment once it is sealed."""
    return path.with_suffix(SEALED_SUFFIX)


def list_segments(directory: Path) -> list[Segment]:
    """All segments by base position, those in the archive included; consistent although the
    writer may rename one meanwhile.
    """
    found = _scan(directory)
    # Reading a directory while a name in it changes may miss the file or give it twice.
    while (again := _scan(directory)) != found:
        found = again
    # Looked at afterwards: what was deleted since is in the manifest for sure.
    bases = manifest.archived_bases(directory)
    if not bases:
        return found
    here = {segment.base_position for segment in found}
    # A manifest may be ahead of a log that was restored from an older copy.
    end = found[-1].base_position if found else bases[-1] + 1
    found += [
        Segment(directory / manifest.segment_name(base), base, True, True)
        for base in bases
        if base not in here and base < end
    ]
    return sorted(found, key=lambda segment: (segment.base_position, segment.sealed))


def _scan(directory: Path) -> list[Segment]:
    found = []
    for entry in os.scandir(directory):
        stem, suffix = os.path.splitext(entry.name)
        if suffix in (OPEN_SUFFIX, SEALED_SUFFIX) and stem.isascii() and stem.isdigit():
            found.append(Segment(Path(entry.path), int(stem), suffix == SEALED_SUFFIX))
    return sorted(found, key=lambda segment: (segment.base_position, segment.sealed))


def current_path(path: Path) -> Path:
    """A file with a listed segment's bytes: since then it may have been sealed, and even moved to
    the archive, from which it is fetched.

    Raises:
        As `archive.cache.SegmentCache.path`.
    """
    here = _here(path)
    if here.exists():
        return here
    return cache.local_copy(path.parent, path.name) or here


def _here(path: Path) -> Path:
    """As `current_path`, and fetches nothing."""
    return path if path.exists() else sealed_path(path)


def size_of(segment: Segment) -> int:
    """Bytes of a segment's file, wherever it is."""
    try:
        return segment.path.stat().st_size
    except FileNotFoundError:
        entry = _archived(segment.path)
        return entry.bytes if entry else sealed_path(segment.path).stat().st_size


def refetch(segment: Segment) -> None:
    """Get a fresh copy of a segment that is only in the archive, whatever is in the cache.

    Raises:
        As `archive.cache.SegmentCache.path`.
    """
    if (entry := _archived(segment.path)) is not None:
        cache.segment_cache(segment.path.parent).path(entry, fresh=True)


def _archived(path: Path) -> manifest.ArchivedSegment | None:
    """What the archive's manifest says of a segment that is not here."""
    return manifest.load(path.parent, int(path.stem))


def read_header(path: Path) -> SegmentHeader:
    """A segment's header.

    Raises:
        CorruptSegment: it fails its checks.
        NewerFormat: a newer kefu wrote it.
        FileNotFoundError: it is neither here nor archived.
    """
    base = int(path.stem)
    try:
        with path.open("rb") as file:
            data = file.read(format.SEGMENT_HEADER_BYTES)
    except FileNotFoundError:
        if (entry := _archived(path)) is None:
            raise
        return entry.header()
    try:
        header, version = format.decode_segment_header(data)
    except InvalidBytes as error:
        raise CorruptSegment(path, 0, base, str(error)) from error
    if version > format.FORMAT_VERSION:
        raise NewerFormat(path, version, format.FORMAT_VERSION)
    if header.base_position != base:
        raise CorruptSegment(path, 0, base, f"holds position {header.base_position} on")
    return header


def read_footer(path: Path) -> Footer:
    """A sealed segment's footer without its stream index: a few bytes, whatever its size.

    Raises:
        CorruptSegment: there is none, or it fails its checks.
        FileNotFoundError: it is neither here nor archived.
    """
    try:
        with path.open("rb") as file:
            return _read_footer(path, file)[0]
    except FileNotFoundError:
        if (entry := _archived(path)) is None:
            raise
        return entry.footer()


def read_footer_streams(path: Path) -> StreamIndex:
    """A sealed segment's stream index; checks the whole footer.

    Raises:
        CorruptSegment: there is none, or it fails its checks.
    """
    with path.open("rb") as file:
        footer, length, crc = _read_footer(path, file)
        file.seek(footer.content_end)
        body = file.read(length)
    try:
        streams = format.decode_footer_streams(body, crc)
    except (InvalidBytes, UnicodeDecodeError, struct.error) as error:
        raise CorruptSegment(path, footer.content_end, int(path.stem), str(error)) from error
    return streams


def _read_footer(path: Path, file: BinaryIO) -> tuple[Footer, int, int]:
    """Footer, length and checksum of its body."""
    base = int(path.stem)
    size = file.seek(0, os.SEEK_END)
    try:
        if size < format.SEGMENT_HEADER_BYTES + format.FOOTER_END_BYTES:
            raise InvalidBytes("segment is too short for a footer")
        file.seek(size - format.FOOTER_END_BYTES)
        length, crc = format.decode_footer_end(file.read())
        start = size - format.FOOTER_END_BYTES - length
        if start < format.SEGMENT_HEADER_BYTES:
            raise InvalidBytes("segment footer is longer than the segment")
        file.seek(start)
        footer = format.decode_footer(file.read(format.FOOTER_FIXED_BYTES))
    except InvalidBytes as error:
        raise CorruptSegment(path, size, base, str(error)) from error
    fits = footer.content_end == start and footer.first_position == base
    if not fits or footer.last_position - base + 1 != footer.events:
        raise CorruptSegment(path, start, base, "footer belongs to another segment")
    return footer, length, crc


def check_chain(segments: list[Segment]) -> None:
    """The log begins at position 1, and every sealed segment is followed by the next one, with
    its hash in the header.

    Raises:
        MissingSegment, CorruptSegment.
    """
    if segments and segments[0].base_position != 1:
        first = segments[0]
        reason = (
            f"begins at position {first.base_position}; the segments before it are missing, and not"
            " in the manifest of an archive (kefu log archive --rebuild-manifest)"
        )
        raise MissingSegment(first.path, 0, 1, reason)
    for segment, following in itertools.pairwise(segments):
        if segment.base_position == following.base_position:
            reason = f"and {following.path.name} hold the same positions: one of them is a copy"
            raise CorruptSegment(segment.path, 0, segment.base_position, reason)
        if segment.sealed:  # else sealing it was interrupted; recovery does it again
            check_link(segment.path, following.path)


def check_link(path: Path, following: Path) -> None:
    """A sealed segment is followed by this one.

    Raises:
        MissingSegment, CorruptSegment.
    """
    footer = read_footer(path)
    base = int(following.stem)
    if base != footer.last_position + 1:
        reason = f"begins at position {base}; a segment is missing"
        raise MissingSegment(following, 0, footer.last_position + 1, reason)
    if read_header(_here(following)).previous_hash != footer.content_hash:
        reason = f"does not follow {path.name}: another history, or a changed file"
        raise CorruptSegment(following, 0, base, reason)
