"""Signed notes and checkpoints: c2sp.org/signed-note and c2sp.org/tlog-checkpoint, Ed25519 only.

Byte for byte what Go's `golang.org/x/mod/sumdb/note` reads and writes.
"""

import base64
import binascii
import hashlib
import re
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infrastructure.transparency.errors import BadKey, BadNote

_ED25519: Final = b"\x01"
_SIGNATURE: Final = "— "
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
MAX_NOTE_BYTES: Final = 1_000_000
"""As Go's `note.Open` takes."""


class Verifier:
    """A public key with the name of its log."""

    def __init__(self, name: str, public: Ed25519PublicKey) -> None:
        self.name = name
        self._public = public
        raw = _ED25519 + public.public_bytes_raw()
        self.key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
        self.vkey = f"{name}+{self.key_id.hex()}+{base64.b64encode(raw).decode()}"
        """As Go's `note.NewVerifier` takes it; the one thing that an auditor must have pinned."""

    def open(self, note: bytes) -> str:
        """The text of a note that this key has signed.

        Raises:
            BadNote: it is no note, or has no valid signature of this key.
        """
        text, signatures = _split(note)
        for line in signatures:
            name, _, encoded = line.removeprefix(_SIGNATURE).partition(" ")
            signature = _decode(encoded)
            if not line.startswith(_SIGNATURE) or not valid_name(name) or len(signature) < 5:
                raise BadNote("a malformed line of signature in a signed note")
            if name == self.name and signature[:4] == self.key_id:
                try:
                    self._public.verify(signature[4:], text.encode())
                except InvalidSignature:
                    raise BadNote(f"the signature of {name} does not fit the note") from None
                return text
        raise BadNote(f"the note is not signed by {self.vkey}")


class Signer:
    """A private key with the name of its log."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self.verifier = Verifier(name, private.public_key())
        self._private = private

    def sign(self, text: str) -> bytes:
        """A note; the same for the same text (RFC 8032: Ed25519 is deterministic)."""
        signature = self.verifier.key_id + self._private.sign(text.encode())
        encoded = base64.b64encode(signature).decode()
        return f"{text}\n{_SIGNATURE}{self.verifier.name} {encoded}\n".encode()


class Checkpoint(NamedTuple):
    """What a log's operator commits to."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text of its note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """A checkpoint from the text of a note whose signature was checked.

    Raises:
        BadNote: it is none.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise BadNote("not a checkpoint: it has fewer than three lines, or an empty one")
    origin, size, encoded = lines[:3]
    digest = _decode(encoded)
    if not _SIZE.fullmatch(size) or len(digest) != 32:
        raise BadNote("not a checkpoint: its size or root is malformed")
    return Checkpoint(origin, int(size), digest)


def open_checkpoint(note: bytes, verifier: Verifier) -> Checkpoint:
    """A checkpoint that a log has signed.

    Raises:
        BadNote: no checkpoint of this log, or not signed by its key.
    """
    found = parse_checkpoint(verifier.open(note))
    if found.origin != verifier.name:
        raise BadNote(f"a checkpoint of {found.origin}, and not of {verifier.name}")
    return found


def parse_vkey(vkey: str) -> Verifier:
    """A verifier from `name+key id+key`, as `kefu audit key` prints it.

    Raises:
        BadKey: it is none.
    """
    parts = vkey.strip().split("+", 2)  # base64 may have a + too
    raw = _decode(parts[2]) if len(parts) == 3 else b""
    if len(raw) != 33 or raw[:1] != _ED25519 or not valid_name(parts[0]):
        raise BadKey("a verifier key is name+id+key, with an Ed25519 key")
    verifier = Verifier(parts[0], Ed25519PublicKey.from_public_bytes(raw[1:]))
    if parts[1] != verifier.key_id.hex():
        raise BadKey("the verifier key's id does not fit its name and key")
    return verifier


def valid_name(name: str) -> bool:
    """Whether a log may have this name."""
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and name.isprintable()


def new_private_key() -> bytes:
    """A new key as unencrypted PEM (PKCS #8)."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_signer(name: str, pem: bytes) -> Signer:
    """A signer from a key's PEM.

    Raises:
        BadKey: it is no Ed25519 key, or the name can't be one.
    """
    if not valid_name(name):
        raise BadKey(f"{name!r} can't be a log's name: no spaces, no +")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise BadKey("the audit key is no unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey("the audit key must be an Ed25519 key")
    return Signer(name, key)


def _split(note: bytes) -> tuple[str, list[str]]:
    try:
        whole = note.decode() if len(note) <= MAX_NOTE_BYTES else ""
    except UnicodeDecodeError:
        whole = ""
    text, found, signatures = whole.rpartition("\n\n")
    if not found or not text or not signatures.endswith("\n"):
        raise BadNote("not a signed note")
    if any(ord(sign) < 0x20 and sign != "\n" for sign in whole):
        raise BadNote("a signed note has no control characters")
    return text + "\n", signatures[:-1].split("\n")


def _decode(encoded: str) -> bytes:
    try:
        found = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
    # Not canonical: bits behind the last byte, which nobody signed.
    return found if base64.b64encode(found).decode() == encoded else b""
