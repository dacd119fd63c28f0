"""Stores of keys in a temporary directory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infrastructure.keys.master import FileSource
from infrastructure.keys.store import SubjectKeyStore


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def source(directory: Path) -> FileSource:
    return FileSource(directory / "master.key")


@pytest.fixture
def open_keys(directory: Path, source: FileSource) -> Iterator[Callable[[], SubjectKeyStore]]:
    opened: list[SubjectKeyStore] = []

    def open_store() -> SubjectKeyStore:
        opened.append(SubjectKeyStore(directory, FileSource(directory / "master.key")))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()
