"""How passwords are kept."""

from application.ports.system import PasswordHasher
from infrastructure.argon2 import Argon2Hasher


def password_hasher() -> PasswordHasher:
    """Argon2."""
    return Argon2Hasher()
