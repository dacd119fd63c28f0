"""The bus of a process that is alone."""

from collections.abc import Callable

import pytest

from application.local_bus import LocalBus
from application.ports.live_bus import LiveBus
from tests.contracts.live_bus import LiveBusContract


class TestLocalBus(LiveBusContract):
    @pytest.fixture
    def make(self) -> Callable[[], LiveBus]:
        return LocalBus
