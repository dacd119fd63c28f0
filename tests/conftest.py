"""Fixtures that tests of the whole system share."""

from collections.abc import Iterator

import pytest

from tests.serving import Kefu, running


@pytest.fixture(scope="session")
def kefu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    """One running system for tests that do not break it."""
    with running(tmp_path_factory.mktemp("kefu") / "data") as system:
        yield system
