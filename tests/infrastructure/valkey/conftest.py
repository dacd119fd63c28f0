"""One real cluster a module."""

from collections.abc import Iterator

import pytest

from tests.valkey_cluster import ValkeyCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    found = ValkeyCluster(tmp_path_factory.mktemp("valkey"))
    try:
        found.start()
        yield found
    finally:
        found.stop()
