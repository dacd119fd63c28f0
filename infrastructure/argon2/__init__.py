"""Password hashing by argon2id (RFC 9106), with the library's recommended parameters."""

import argon2
from argon2.exceptions import InvalidHashError, VerificationError


class Argon2Hasher:
    """`PasswordHasher` over argon2-cffi; it releases the interpreter while it works."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()
        self._decoy = self._hasher.hash("no agent has this password")

    def hash(self, password: str) -> str:
        """As `PasswordHasher.hash`."""
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def verify(self, password_hash: str, password: str) -> bool:
        """As `PasswordHasher.verify`."""
        try:
            return self._hasher.verify(password_hash, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False

    def decoy(self) -> str:
        """As `PasswordHasher.decoy`."""
        return self._decoy
