"""Proof that a data subject was erased."""

from typing import Protocol

import msgspec


class ErasureCertificate(msgspec.Struct, frozen=True):
    """What is signed: that a contact's key was destroyed after the event which says so."""

    contact_id: str
    key_id: str | None
    """None: nothing of the contact was sealed."""
    position: int
    """Of the event `contact.erased` in the log."""
    event_sha256: str
    """SHA-256 of that event's stored payload, in hex."""
    erased_at: str
    """When it was recorded, RFC 3339 in UTC."""
    reason: str
    requested_by: str
    in_clear: int
    """Events of the contact and its messages with personal fields that were written before there
    were keys: the log still holds them readable."""


class SignedCertificate(msgspec.Struct, frozen=True):
    """A certificate with its signature."""

    certificate: ErasureCertificate
    public_key: str
    """Ed25519 (RFC 8032), 32 bytes in base64."""
    signature: str
    """Over the certificate as canonical JSON: keys sorted, no white space, UTF-8; in base64."""


class CertificateSigner(Protocol):
    """Holds the key that signs."""

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature, 64 bytes; the same data gives the same one."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
