"""What is archived: a file for each segment, here and beside the segment in the store.

It holds what a segment's header and footer say, so that the chain can be proved without fetching
anything. It is never the only truth: `rebuild` makes it anew from the store.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from infrastructure.eventlog.archive.files import write_durably
from infrastructure.eventlog.errors import CorruptSegment
from infrastructure.eventlog.format import Footer, SegmentHeader

DIRECTORY: Final = "archive"
_SUFFIX: Final = ".json"
_OBJECT_SUFFIX: Final = ".zst"
_SEGMENT_SUFFIX: Final = ".seg"


class ArchivedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """An archived segment."""

    format: int = 1
    base_position: int
    last_position: int
    events: int
    streams: int
    content_end: int
    last_timestamp_us: int
    uuid: str
    """Hexadecimal, as the hashes."""
    previous_hash: str
    content_hash: str
    """SHA-256, as in the footer."""
    bytes: int
    """Of the segment file."""
    sha256: str
    """Of the segment file, footer and all."""
    stored_bytes: int
    """Of the compressed object."""

    @property
    def name(self) -> str:
        """Of the segment file."""
        return segment_name(self.base_position)

    @property
    def key(self) -> str:
        """Of the compressed object."""
        return self.name + _OBJECT_SUFFIX

    @property
    def manifest_key(self) -> str:
        """Of the object that holds this."""
        return f"{self.base_position:020d}{_SUFFIX}"

    def header(self) -> SegmentHeader:
        """The segment's header."""
        uuid, previous = bytes.fromhex(self.uuid), bytes.fromhex(self.previous_hash)
        return SegmentHeader(uuid, self.base_position, previous)

    def footer(self) -> Footer:
        """The segment's footer, without its stream index."""
        return Footer(
            self.events,
            self.base_position,
            self.last_position,
            self.content_end,
            self.last_timestamp_us,
            bytes.fromhex(self.content_hash),
            self.streams,
        )


class _Sheet(msgspec.Struct):
    segment: msgspec.Raw
    sha256: str
    """Of the bytes of `segment`."""


class InvalidManifest(ValueError):
    """Bytes that are no manifest of a segment."""


def segment_name(base_position: int) -> str:
    """File name of a sealed segment."""
    return f"{base_position:020d}{_SEGMENT_SUFFIX}"


def encode(entry: ArchivedSegment) -> bytes:
    """The manifest's bytes, always the same for the same segment."""
    body = msgspec.json.encode(entry)
    return msgspec.json.encode(_Sheet(msgspec.Raw(body), hashlib.sha256(body).hexdigest())) + b"\n"


def decode(data: bytes, base_position: int) -> ArchivedSegment:
    """The segment that a manifest describes.

    Raises:
        InvalidManifest: damaged, of another segment, or of a newer kefu.
    """
    try:
        sheet = msgspec.json.decode(data, type=_Sheet)
        entry = msgspec.json.decode(sheet.segment, type=ArchivedSegment)
    except msgspec.DecodeError as error:
        raise InvalidManifest(str(error)) from error
    if hashlib.sha256(bytes(sheet.segment)).hexdigest() != sheet.sha256:
        raise InvalidManifest("it fails its checksum")
    if entry.format != 1:
        raise InvalidManifest(f"it has format {entry.format}; this kefu knows 1")
    if entry.base_position != base_position:
        raise InvalidManifest(f"it is of the segment at position {entry.base_position}")
    return entry


def archive_directory(directory: Path) -> Path:
    """Where a log keeps what it knows of its archive."""
    return directory / DIRECTORY


def archived_bases(directory: Path) -> list[int]:
    """Base positions of all archived segments of a log, in order."""
    try:
        entries = os.listdir(archive_directory(directory))
    except FileNotFoundError:
        return []
    stems = (os.path.splitext(name) for name in entries)
    return sorted(int(stem) for stem, suffix in stems if suffix == _SUFFIX and stem.isdigit())


def load(directory: Path, base_position: int) -> ArchivedSegment | None:
    """An archived segment of a log; None: it is not archived.

    Raises:
        CorruptSegment: its manifest is damaged.
    """
    path = archive_directory(directory) / f"{base_position:020d}{_SUFFIX}"
    try:
        return decode(path.read_bytes(), base_position)
    except FileNotFoundError:
        return None
    except InvalidManifest as error:
        reason = f"manifest of an archived segment: {error}; `kefu log archive --rebuild-manifest`"
        raise CorruptSegment(path, 0, base_position, reason) from error


def save(directory: Path, entry: ArchivedSegment) -> None:
    """Remember that a segment is archived; durable on return."""
    write_durably(archive_directory(directory) / entry.manifest_key, encode(entry))
