"""A store of subjects' keys for tests that are not about the store, and a reader of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from application.sealing import Opener
from infrastructure.keys.master import FileSource, MasterKeys
from infrastructure.keys.reader import KeyReader
from infrastructure.keys.store import SubjectKeyStore


@contextmanager
def subject_keys(directory: Path) -> Iterator[SubjectKeyStore]:
    """The store; closed at the end."""
    store = SubjectKeyStore(directory, FileSource(directory / "master.key"))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opener(directory: Path) -> Iterator[Opener]:
    """As another process opens events."""
    source = FileSource(directory / "master.key")
    reader = KeyReader(directory, lambda: MasterKeys(source))
    try:
        yield Opener(reader)
    finally:
        reader.close()
