"""Where the transparency log's files are, and the small ones among them."""

import contextlib
import os
import uuid
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from application.ports.transparency import AuditState
from infrastructure.eventlog.disk import sync_directory
from infrastructure.eventlog.sealing import replace_file
from infrastructure.eventlog.segment import list_segments, read_header
from infrastructure.system.private_files import read_or_make_secret
from infrastructure.transparency.errors import NotCovered
from infrastructure.transparency.signed_note import (
    Checkpoint,
    Signer,
    Verifier,
    load_signer,
    new_private_key,
    open_checkpoint,
    parse_vkey,
)

CHECKPOINT: Final = "checkpoint"
_STATE: Final = "state.json"


class AuditFiles(NamedTuple):
    """Paths."""

    log: Path
    """The event log's directory."""
    tree: Path
    """`audit/`: checkpoint and tiles, rebuildable from the log."""
    key: Path
    """The signing key."""
    vkey: Path
    """The verifier key, for whoever only checks."""
    persisted: Path
    """The last checkpoint that was signed, kept apart from the tiles. Written before the one in
    the tree's directory: who deletes that does not make us forget what was signed."""
    wanted: Path
    """Position that somebody waits to have covered."""

    @classmethod
    def under(cls, data: Path, key: str | None = None) -> "AuditFiles":
        """Those of a data directory.

        Args:
            data: The directory.
            key: Path of the signing key, if it is elsewhere.
        """
        keys = data / "keys"
        return cls(
            data / "log",
            data / "audit",
            keys / "audit-signing.key" if key is None else Path(key),
            keys / "audit.vkey",
            keys / "audit-checkpoint",
            data / "run" / "audit-wanted",
        )


def signer(files: AuditFiles, name: str | None) -> Signer:
    """The signer with the key in its file, which is made if it is missing.

    Args:
        files: Of the log.
        name: Of the log; None: made of its id.

    Raises:
        BadKey: it is no Ed25519 key, or the name can't be one.
        FileNotFoundError: there is no log yet to take a name from.
    """
    if name is None:
        name = f"kefu.local/{log_id(files.log)}"
    made = not files.key.exists()
    pem = read_or_make_secret(files.key, new_private_key().decode())
    if made:
        sync_directory(files.key.parent)
    found = load_signer(name, pem)
    files.vkey.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(files.vkey, f"{found.verifier.vkey}\n".encode())
    return found


def verifier(files: AuditFiles) -> Verifier:
    """The verifier with the public key that the role `audit` has written.

    Raises:
        NotCovered: it has not started yet.
        BadKey: the file holds something else.
    """
    text = _read(files.vkey)
    if text is None:
        raise NotCovered(1, 0)
    return parse_vkey(text.decode("utf-8", "replace"))


def signed_checkpoint(files: AuditFiles) -> bytes | None:
    """The note of the last checkpoint that is published; None: none yet."""
    return _read(files.tree / CHECKPOINT)


def last_signed(files: AuditFiles, verifier: Verifier) -> tuple[Checkpoint, bytes] | None:
    """The newest checkpoint that was ever signed here, and its note; None: none was.

    Raises:
        BadNote: one is there that this key has not signed.
    """
    notes = [note for path in (files.persisted, files.tree / CHECKPOINT) if (note := _read(path))]
    found = [(open_checkpoint(note, verifier), note) for note in notes]
    return max(found, key=lambda one: one[0].size, default=None)


def persist(files: AuditFiles, note: bytes) -> None:
    """Make a signed checkpoint durable, then publish it."""
    files.persisted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(files.persisted, note)
    replace_file(files.tree / CHECKPOINT, note)


def ask_for(files: AuditFiles, position: int) -> None:
    """Ask the builder, wherever it runs, for a checkpoint that covers a position."""
    files.wanted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(files.wanted, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, f"{position:020d}".encode(), 0)
    finally:
        os.close(fd)


def asked_for(files: AuditFiles) -> int:
    """Position that somebody asked for last, 0: nobody did."""
    text = (_read(files.wanted) or b"0").strip()
    return int(text) if text.isdigit() else 0


def write_state(files: AuditFiles, state: AuditState) -> None:
    """For `read_state` of other processes; nothing relies on it."""
    path = files.tree / _STATE
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(state))
    draft.rename(path)


def read_state(files: AuditFiles) -> AuditState | None:
    """What the builder said last; None: nothing yet."""
    with contextlib.suppress(msgspec.MsgspecError):
        data = _read(files.tree / _STATE)
        return None if data is None else msgspec.json.decode(data, type=AuditState)
    return None


def log_id(log: Path) -> str:
    """The id of the log in a directory.

    Raises:
        FileNotFoundError: there is none.
    """
    segments = list_segments(log) if log.is_dir() else []
    if not segments:
        raise FileNotFoundError(f"there is no log in {log}")
    return str(uuid.UUID(bytes=read_header(segments[0].path).uuid))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
