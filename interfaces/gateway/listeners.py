"""Whom the hub tells, as it sees them."""

from typing import Protocol


class Listener(Protocol):
    """A connection as the hub sees it."""

    token_id: str
    subject_id: str

    def emit(self, frame: bytes) -> None:
        """Queue a frame."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection."""


class Forgetful(Protocol):
    """A cache of identities."""

    def forget(self, id: str) -> None: ...

    def forget_subject(self, subject_id: str) -> None: ...
