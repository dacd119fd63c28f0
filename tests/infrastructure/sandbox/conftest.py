"""A sandbox for each package, and one for whoever kills it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import Sandbox, running

_numbers = count()


@pytest.fixture(scope="package")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox") / "data") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(process: Sandbox) -> Iterator[Sandbox]:
    yield process
    process.clear_faults()


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One that may be killed."""
    with running(tmp_path / "data") as sandbox:
        yield sandbox


def refund(**more: Any) -> dict[str, Any]:
    """Another refund of another order at each call."""
    number = next(_numbers)
    made = {"refund_id": f"refund-{number}", "order_reference": f"order-{number}"}
    return {**made, "amount_minor": 500, "currency": "EUR", **more}
