"""A period, or what passes a filter, as an archive that proves itself.

A zip file that anybody can open: the events as JSON lines, each with its leaf and its inclusion
proof, the signed checkpoint that they lead to, the verifier key, and a script of some ten lines
that checks all of it with nothing of kefu.
"""

import base64
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog.disk import sync_directory
from infrastructure.transparency import leaves, tree
from infrastructure.transparency.errors import (
    AuditContradiction,
    MissingTile,
    NothingToExport,
    NotText,
)
from infrastructure.transparency.signed_note import Checkpoint, Verifier
from infrastructure.transparency.tiles import TileReader

Progress = Callable[[int, int], None]
Readable = Callable[[RecordedEvent], Any]
"""What a person may read of an event, as a JSON value; None: no more than is stored."""

_SCRIPT: Final = "verify_archive.txt"
_README: Final = """\
# {count} events of {origin}

`events.jsonl` has an event a line, byte for byte as it is stored (`payload`, `metadata`), with its
leaf of the transparency log and the proof that leads from there to `checkpoint`, which the log's
owner signed over {size} events. `manifest.json` says what was asked for. Fields of persons are
sealed in `payload`; `readable`, where it is there, shows them as they could be opened when the
archive was made, and is not covered by the proofs.

Check it with the key that you were given before, not with the one in `vkey`:

    pip install cryptography
    python verify.py ARCHIVE.zip 'VKEY'

It proves that each event was in the log when the checkpoint was signed, with this position, stream,
type, payload and metadata. Whether events are missing shows in their positions: without a filter
({filtered}) there is no gap between {first} and {last}.

Formats: RFC 9162 section 2.1 (tree), https://c2sp.org/tlog-checkpoint, docs/formats/transparency.md
"""


class Wanted(NamedTuple):
    """What to export."""

    first: int
    last: int
    """Positions, both included."""
    types: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    conversation_id: str | None = None

    @property
    def filtered(self) -> bool:
        """Whether it leaves events out."""
        return bool(self.types or self.categories or self.conversation_id)


class ExportReport(msgspec.Struct, frozen=True):
    """What an archive holds."""

    file: str
    events: int
    first: int
    last: int
    size: int
    """Events that its checkpoint covers."""
    origin: str


class _OfConversation(msgspec.Struct, frozen=True):
    conversation_id: str | None = None


_of_conversation: Final = msgspec.json.Decoder(_OfConversation).decode


def export(
    path: Path,
    events: Iterable[RecordedEvent],
    wanted: Wanted,
    checkpoint: Checkpoint,
    note: bytes,
    verifier: Verifier,
    directory: Path,
    readable: Readable | None = None,
    progress: Progress = lambda done, total: None,
) -> ExportReport:
    """Write an archive; it is there whole or not at all.

    Args:
        path: Of the zip file; replaced if it is there.
        events: Those that pass types and categories, from `wanted.first` on, in order.
        wanted: What to export.
        checkpoint: That covers `wanted.last`, with its note.
        note: See above.
        verifier: Its key.
        directory: Of the tree's tiles.
        readable: Opens sealed fields.
        progress: Told how far it is, in positions.

    Raises:
        NothingToExport: no event passes.
        AuditContradiction: an event is not what the tree says; nothing was written.
    """
    draft = path.with_name(path.name + ".new")
    count = 0
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("events.jsonl", "w", force_zip64=True) as lines:
                tiles = TileReader(directory, checkpoint.size)
                for event in _chosen(events, wanted):
                    lines.write(_line(event, tiles, checkpoint, readable))
                    count += 1
                    progress(event.position - wanted.first + 1, wanted.last - wanted.first + 1)
            if not count:
                raise NothingToExport
            _describe(archive, wanted, count, checkpoint, note, verifier)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.absolute().parent)
    return ExportReport(
        str(path), count, wanted.first, wanted.last, checkpoint.size, checkpoint.origin
    )


def _chosen(events: Iterable[RecordedEvent], wanted: Wanted) -> Iterator[RecordedEvent]:
    id = wanted.conversation_id
    for event in events:
        if event.position > wanted.last:
            return
        if id is None or event.stream == f"conversation-{id}" or _belongs(event, id):
            yield event


def _belongs(event: RecordedEvent, conversation_id: str) -> bool:
    """Whether its payload names the conversation, as those of messages do."""
    try:
        return _of_conversation(event.payload).conversation_id == conversation_id
    except msgspec.MsgspecError:
        return False


def _line(
    event: RecordedEvent, tiles: TileReader, checkpoint: Checkpoint, readable: Readable | None
) -> bytes:
    leaf = leaves.encode(leaves.leaf_of(event))
    try:
        proof = tree.inclusion_proof(event.position - 1, checkpoint.size, tiles.node)
    except MissingTile as error:
        raise AuditContradiction(event.position, error.detail) from error
    if not tree.verify_inclusion(
        tree.leaf_hash(leaf), event.position - 1, checkpoint.size, proof, checkpoint.root
    ):
        raise AuditContradiction(event.position, "the event is not what the tree holds")
    try:
        line = {
            "position": event.position,
            "stream": event.stream,
            "version": event.version,
            "type": event.type,
            "recorded_us": event.recorded_us,
            # Text within text: parsing and writing JSON again would not give the same bytes.
            "metadata": event.metadata.decode(),
            "payload": event.payload.decode(),
            "leaf": _base64(leaf),
            "proof": [_base64(one) for one in proof],
        }
    except UnicodeDecodeError:
        raise NotText(event.position) from None
    if readable is not None and (opened := readable(event)) is not None:
        line["readable"] = opened
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _describe(
    archive: zipfile.ZipFile,
    wanted: Wanted,
    count: int,
    checkpoint: Checkpoint,
    note: bytes,
    verifier: Verifier,
) -> None:
    manifest = {"events": count, **wanted._asdict(), "origin": checkpoint.origin}
    text = _README.format(
        count=count,
        origin=checkpoint.origin,
        size=checkpoint.size,
        filtered="this one has a filter" if wanted.filtered else "as here",
        first=wanted.first,
        last=wanted.last,
    )
    archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
    archive.writestr("checkpoint", note)
    archive.writestr("vkey", verifier.vkey + "\n")
    archive.writestr("README.md", text)
    archive.writestr("verify.py", verification_script())


def verification_script() -> str:
    """The script that checks an archive with nothing of kefu."""
    return (resources(__package__) / _SCRIPT).read_text()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
