"""AES-256-GCM (NIST SP 800-38D): sealing with a subject's key, wrapping it with a master key."""

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.ports.subject_keys import SealBroken

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + TAG_BYTES
_POOL: Final = 256


class _Nonces:
    """Random nonces. One system call for many of them: it would be a third of what sealing costs.

    A process that forks must not go on with its parent's; kefu's never fork.
    """

    def __init__(self) -> None:
        self._pool: list[bytes] = []

    def next(self) -> bytes:
        try:
            return self._pool.pop()  # atomic, and gone: no two threads get the same
        except IndexError:
            data = os.urandom(_POOL * NONCE_BYTES)
            cut = [data[at : at + NONCE_BYTES] for at in range(0, len(data), NONCE_BYTES)]
            nonce = cut.pop()
            self._pool.extend(cut)
            return nonce


_nonces: Final = _Nonces()


class Cipher:
    """As `SubjectCipher`."""

    __slots__ = ("_aead", "id")

    def __init__(self, id: str, key: bytes) -> None:
        self.id = id
        self._aead = AESGCM(key)

    def seal(self, data: bytes, bound_to: bytes) -> bytes:
        """As `SubjectCipher.seal`."""
        nonce = _nonces.next()
        return nonce + self._aead.encrypt(nonce, data, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """As `SubjectCipher.open`."""
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise SealBroken("it is cut short")
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except InvalidTag:
            raise SealBroken("its tag does not fit") from None


class MasterKey:
    """Wraps subjects' keys; the wrapping is bound to the key's id."""

    def __init__(self, key: bytes) -> None:
        digest = hashlib.sha256(b"kefu master key\0" + key).hexdigest()
        self.id: Final = digest[:16]
        """Says which master key wrapped a key, and nothing of the key itself."""
        self._cipher = Cipher(self.id, key)

    def wrap(self, key_id: str, key: bytes) -> bytes:
        """The key, wrapped: 60 bytes."""
        return self._cipher.seal(key, b"kefu subject key\0" + key_id.encode())

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """The key.

        Raises:
            SealBroken: it was wrapped otherwise, or under another id.
        """
        return self._cipher.open(wrapped, b"kefu subject key\0" + key_id.encode())
