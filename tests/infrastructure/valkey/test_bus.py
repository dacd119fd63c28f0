"""The bus over a real cluster of three masters."""

from collections.abc import Callable

import pytest

from application.ports.live_bus import LiveBus
from infrastructure.valkey.bus import ValkeyBus
from tests.contracts.live_bus import SharedLiveBusContract
from tests.valkey_cluster import ValkeyCluster


class TestValkeyBus(SharedLiveBusContract):
    @pytest.fixture
    def make(self, cluster: ValkeyCluster) -> Callable[[], LiveBus]:
        return lambda: ValkeyBus(cluster.url)
