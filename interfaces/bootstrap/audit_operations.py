"""What auditors do with the transparency log, without a server."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from application.ports.event_store import RecordedEvent
from application.queries.feed import FeedCursor
from infrastructure.eventlog.reader import LogReader
from infrastructure.transparency import exporting, proving, receipt, verifying
from infrastructure.transparency import files as audit
from infrastructure.transparency.errors import NotCovered, NothingToExport
from infrastructure.transparency.event_file import require_event
from infrastructure.transparency.exporting import ExportReport
from infrastructure.transparency.files import AuditFiles
from infrastructure.transparency.leaves import Leaf
from infrastructure.transparency.signed_note import (
    Checkpoint,
    Verifier,
    open_checkpoint,
    parse_vkey,
)
from infrastructure.transparency.verifying import AuditReport, Progress
from interfaces.bootstrap.audit import audit_files
from interfaces.bootstrap.keys import opener
from interfaces.bootstrap.started import existing_log
from interfaces.settings import Settings


class Chosen(NamedTuple):
    """What somebody wants to be exported; None and empty: everything."""

    first: int | None
    last: int | None
    since_us: int | None
    until_us: int | None
    """Microseconds since 1970, UTC; both included, as the positions are."""
    types: tuple[str, ...]
    categories: tuple[str, ...]
    conversation_id: str | None


class ProvenReceipt(msgspec.Struct, frozen=True):
    """What a receipt proves."""

    position: int
    stream: str
    version: int
    type: str
    recorded_us: int
    metadata_sha256: str
    payload_sha256: str
    origin: str
    size: int
    """Events that the checkpoint covers."""
    event_checked: bool
    """Whether an event was given, and is the one."""


def key(settings: Settings) -> str:
    """The verifier key."""
    return audit.verifier(_files(settings)).vkey


def checkpoint(settings: Settings) -> tuple[Checkpoint, bytes]:
    """The published checkpoint, its signature checked, and its note."""
    files = _files(settings)
    return proving.published(files, audit.verifier(files))


def prove(settings: Settings, position: int, timeout_s: float) -> bytes:
    """The receipt of an event; waits for a running builder where no checkpoint covers it."""
    files = _files(settings)
    return proving.prove_soon(files, audit.verifier(files), position, timeout_s)


def verify(
    settings: Settings,
    first: int | None,
    last: int | None,
    pinned: Path | None,
    vkey: str | None,
    progress: Progress,
) -> AuditReport:
    """The log, or a part of it, against tiles and checkpoints."""
    files = _files(settings)
    verifier = audit.verifier(files) if vkey is None else parse_vkey(vkey)
    signed = audit.last_signed(files, verifier)
    if signed is None:
        raise NotCovered(1, 0)
    published = signed[0]
    known = None if pinned is None else open_checkpoint(pinned.read_bytes(), verifier)
    if first is None and last is None:
        return verifying.verify(files, published, known, progress)
    return verifying.verify_range(files, published, known, first or 1, last, progress)


def export(
    settings: Settings,
    path: Path,
    chosen: Chosen,
    timeout_s: float,
    progress: Progress,
) -> ExportReport:
    """What was chosen as an archive that proves itself; waits for a running builder where no
    checkpoint covers it.

    Raises:
        NothingToExport: no event is in it.
        NotCovered: no checkpoint covers the end, and nobody makes one.
        AuditContradiction: log and tree do not fit.
    """
    files = _files(settings)
    verifier = audit.verifier(files)
    with closing(LogReader(files.log)) as feed:
        first, last = 1, feed.durable_position()
        if chosen.since_us is not None:
            first = feed.position_at(chosen.since_us - 1) + 1
        if chosen.until_us is not None:
            last = feed.position_at(chosen.until_us)
        first = max(first, chosen.first or 1)
        last = min(last, chosen.last or last)
        if first > last:
            raise NothingToExport
        proving.prove_soon(files, verifier, last, timeout_s)
        signed, note = proving.published(files, verifier)
        wanted = exporting.Wanted(
            first, last, chosen.types, chosen.categories, chosen.conversation_id
        )
        events = FeedCursor(feed, first - 1, chosen.types, chosen.categories).to_end()
        opened = opener(settings)

        def readable(event: RecordedEvent) -> object:
            fields, erased = opened.fields(event)
            return {**fields, "erased": True} if erased else fields

        return exporting.export(
            path, events, wanted, signed, note, verifier, files.tree, readable, progress
        )


def verify_receipt(path: Path, vkey: str, event: Path | None) -> ProvenReceipt:
    """A receipt against a verifier key; needs neither server nor data directory."""
    verifier: Verifier = parse_vkey(vkey)
    leaf, signed = receipt.verify(path.read_bytes(), verifier)
    if event is not None:
        require_event(leaf, event.read_bytes())
    return _proven(leaf, signed, checked=event is not None)


def _proven(leaf: Leaf, signed: Checkpoint, *, checked: bool) -> ProvenReceipt:
    return ProvenReceipt(
        leaf.position,
        leaf.stream,
        leaf.version,
        leaf.type,
        leaf.recorded_us,
        leaf.metadata_sha256.hex(),
        leaf.payload_sha256.hex(),
        signed.origin,
        signed.size,
        checked,
    )


def _files(settings: Settings) -> AuditFiles:
    existing_log(settings)
    return audit_files(settings)
