"""What auditors do with the transparency log, without a server."""

from pathlib import Path

import msgspec

from infrastructure.transparency import files as audit
from infrastructure.transparency import proving, receipt, verifying
from infrastructure.transparency.errors import NotCovered
from infrastructure.transparency.event_file import require_event
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
from interfaces.bootstrap.started import existing_log
from interfaces.settings import Settings


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
