"""Small ports: time, ids and secrets, which the domain is handed and never asks for."""

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        ...


class Ids(Protocol):
    """New identifiers."""

    def new(self) -> str:
        """A UUID of version 7 (RFC 9562): unique, ordered by time."""
        ...

    def secret(self) -> str:
        """A token of 32 random bytes, URL-safe."""
        ...


class PasswordHasher(Protocol):
    """Slow, salted password hashing (argon2id, RFC 9106). Blocking: call it in a thread."""

    def hash(self, password: str) -> str:
        """A self-describing hash with its own salt."""
        ...

    def verify(self, password_hash: str, password: str) -> bool:
        """Whether the password belongs to the hash; takes the same time for an unknown agent
        if it is called with `decoy()`.
        """
        ...

    def decoy(self) -> str:
        """A hash that no password matches, to verify against when there is no such agent."""
        ...
