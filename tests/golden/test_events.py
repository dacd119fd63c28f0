"""Events are stored for ever: what was written once must read the same in every later version.

A golden file holds the stored bytes of one event version, and `fingerprints.json` its fields and
types. They are written only by `KEFU_UPDATE_GOLDEN=1 pytest tests/golden`, for a new version; what
is there never changes.
"""

import json
import os
from pathlib import Path

import pytest

from application import codec
from domain.events import Event, stored_name
from tests.golden.fingerprint import fingerprint
from tests.golden.samples import OLD_SAMPLES, SAMPLES

FOLDER = Path(__file__).parent / "events"
FINGERPRINTS = Path(__file__).parent / "fingerprints.json"
UPDATE = os.environ.get("KEFU_UPDATE_GOLDEN") == "1"


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def fingerprints() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(FINGERPRINTS.read_text())
    return found


@pytest.mark.parametrize("event", SAMPLES, ids=stored_name)
def test_a_stored_event_reads_as_it_was_written(event: Event) -> None:
    path = path_of(stored_name(event))
    if UPDATE and not path.exists():
        path.write_bytes(codec.encode(event, b"").payload)
    stored = path.read_bytes()
    assert codec.decode(stored_name(event), stored) == event
    assert codec.encode(event, b"").payload == stored


def test_an_old_version_reads_as_its_newest() -> None:
    for name, newest in OLD_SAMPLES.items():
        assert codec.decode(name, path_of(name).read_bytes()) == newest


def test_every_version_that_was_ever_stored_has_a_golden_file_and_a_sample() -> None:
    files = {path.stem for path in FOLDER.glob("*.json")}
    newest = {stored_name(sample) for sample in SAMPLES}
    assert files == newest | OLD_SAMPLES.keys() == fingerprints().keys()
    assert newest == {stored_name(cls) for cls in codec.EVENT_TYPES}
    assert codec.UPCASTERS.keys() == OLD_SAMPLES.keys()


@pytest.mark.parametrize("cls", codec.EVENT_TYPES, ids=stored_name)
def test_an_event_class_does_not_change_without_a_new_version(cls: type[Event]) -> None:
    stored = fingerprints()
    name = stored_name(cls)
    if UPDATE and name not in stored:
        stored[name] = fingerprint(cls)
        text = json.dumps(dict(sorted(stored.items())), indent=1, ensure_ascii=False)
        FINGERPRINTS.write_text(text + "\n")
    assert fingerprint(cls) == stored[name], (
        f"{name} is stored for ever: give the changed class the next version and an upcaster, see"
        " docs/howto/add-an-event.md"
    )
