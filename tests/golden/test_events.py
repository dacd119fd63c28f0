"""Events are stored for ever: what was written once must read the same in every later version.

A golden file holds the stored bytes of one event version. It is written only by
`KEFU_UPDATE_GOLDEN=1 pytest tests/golden`, for a new version; an existing one never changes.
"""

import os
from pathlib import Path

import pytest

from application import codec
from domain.events import Event, stored_name
from tests.golden.samples import SAMPLES

FOLDER = Path(__file__).parent / "events"


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


@pytest.mark.parametrize("event", SAMPLES, ids=stored_name)
def test_a_stored_event_reads_as_it_was_written(event: Event) -> None:
    path = path_of(stored_name(event))
    if os.environ.get("KEFU_UPDATE_GOLDEN") == "1" and not path.exists():
        path.write_bytes(codec.encode(event, b"").payload)
    stored = path.read_bytes()
    assert codec.decode(stored_name(event), stored) == event
    assert codec.encode(event, b"").payload == stored


def test_every_event_type_has_a_golden_file() -> None:
    assert {stored_name(c) for c in codec.EVENT_TYPES} == {stored_name(s) for s in SAMPLES}


def test_every_golden_file_can_still_be_read() -> None:
    for path in FOLDER.glob("*.json"):
        codec.decode(path.stem, path.read_bytes())
