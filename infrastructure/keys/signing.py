"""The Ed25519 key (RFC 8032) that signs certificates of erasure."""

import base64
import binascii
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import InvalidInput
from infrastructure.keys.master import new_key
from infrastructure.system.private_files import read_or_make_secret


class FileSigner:
    """As `CertificateSigner`, with a key in a file (mode 0600), made at the first start."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            InvalidInput: the file holds something else.
        """
        text = read_or_make_secret(path, base64.b64encode(new_key()).decode())
        try:
            self._key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise InvalidInput(f"{path} does not hold an Ed25519 key in base64.") from None

    def sign(self, data: bytes) -> bytes:
        """As `CertificateSigner.sign`."""
        return self._key.sign(data)

    @property
    def public_key(self) -> bytes:
        """As `CertificateSigner.public_key`."""
        return self._key.public_key().public_bytes_raw()
