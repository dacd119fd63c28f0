"""Port: a flat store of immutable objects. Adapters: `directory_store`, `s3_store`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

CHUNK_BYTES: Final = 1024 * 1024
_KEY: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}")


class ObjectInfo(NamedTuple):
    """An object in a listing."""

    key: str
    size: int
    """Bytes."""


class ObjectStore(Protocol):
    """Objects are written once, whole, and never change.

    Keys have 1 to 200 letters, digits, dots, hyphens and underscores; other keys are a
    `ValueError`. Any call may raise `ArchiveUnavailable`.
    """

    @property
    def url(self) -> str:
        """Where it is, for messages; never with credentials."""
        ...

    def put(self, key: str, source: Path) -> None:
        """Store a file's bytes, at most 5 GiB, atomically and durably on return.

        The same bytes again are no error, which is how an interrupted caller goes on.

        Raises:
            ArchiveConflict: other bytes are there; they were not touched.
        """
        ...

    def get(self, key: str) -> Iterator[bytes]:
        """An object's bytes in pieces of at most `CHUNK_BYTES`, read while iterating.

        Raises:
            ObjectNotFound: at the first piece.
        """
        ...

    def list(self) -> Iterator[ObjectInfo]:
        """All objects by key; none that is not stored whole."""
        ...

    def exists(self, key: str) -> bool:
        """Whether an object is there."""
        ...


def check_key(key: str) -> str:
    """The key.

    Raises:
        ValueError: it is none.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of an object")
    return key
