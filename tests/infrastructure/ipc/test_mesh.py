"""The bus between the processes of one machine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from application.ports.live_bus import LiveBus
from infrastructure.ipc.mesh import MeshBus
from tests.contracts.live_bus import SharedLiveBusContract


class TestMeshBus(SharedLiveBusContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], LiveBus]:
        return lambda: MeshBus(tmp_path)
