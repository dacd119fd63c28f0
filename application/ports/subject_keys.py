"""Keys of data subjects: one a contact, outside the log; destroying it makes the contact's events
unreadable wherever they were copied (ADR 0018).
"""

from typing import Protocol

from domain.errors import InfrastructureError


class SubjectKeyMissing(InfrastructureError):
    """A key that was never destroyed is not in the store: it was lost, or another store is."""

    code = "subject-key-missing"

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the key {key_id!r} of a data subject is not in the key store, and was not destroyed"
            " there; restore the backup of the keys"
        )
        self.key_id = key_id


class SealBroken(InfrastructureError):
    """A sealed value, or the place that it is bound to, is not as it was written."""

    code = "seal-broken"


class SubjectCipher(Protocol):
    """One subject's key at work: AES-256-GCM (NIST SP 800-38D)."""

    @property
    def id(self) -> str:
        """The key's id: 32 hexadecimal digits."""

    def seal(self, data: bytes, bound_to: bytes) -> bytes:
        """A fresh nonce (12 bytes), the ciphertext, the tag (16 bytes)."""

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """What was sealed.

        Raises:
            SealBroken: a byte differs, of the sealed value or of what it is bound to.
        """


class SubjectKeyReader(Protocol):
    """Keys for reading, in any process."""

    def get(self, key_id: str) -> SubjectCipher | None:
        """The key with this id; None: it was destroyed, because its subject was erased.

        Raises:
            SubjectKeyMissing: the store never had it.
            Unavailable: the store, or the master key, can't be read at the moment.
        """

    def forget(self, key_id: str) -> None:
        """Its subject was erased: from now on `get` returns None, whatever the store still has."""


class SubjectKeys(SubjectKeyReader, Protocol):
    """Keys in the core, which makes and destroys them."""

    @property
    def unsaved(self) -> bool:
        """Whether there are new keys that `save` must make durable before anything is written
        that they seal.
        """

    def of_subject(self, subject_id: str) -> SubjectCipher:
        """The subject's key, made now if it has none.

        Raises:
            ContactErased: it was destroyed; the subject gets no other.
            Unavailable: the store, or the master key, can't be read at the moment.
        """

    def key_id(self, subject_id: str) -> str | None:
        """The id of the subject's key, destroyed or not; None: it never had one."""

    def save(self) -> None:
        """Make all new keys durable together; blocks for a disk's flush.

        Raises:
            Unavailable: it could not; they are still unsaved.
        """

    def destroy(self, subject_id: str) -> None:
        """Overwrite the subject's key where it lies, and remember that it was; blocks. A repeat,
        or a subject without a key, is no error.

        Raises:
            Unavailable: it could not, or not wholly; call it again.
        """

    def is_destroyed(self, subject_id: str) -> bool:
        """Whether `destroy` was done for this subject."""
