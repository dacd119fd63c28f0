"""Sealed events are stored for ever too: what one key and one nonce made must open for ever.

Golden files are written only by `KEFU_UPDATE_GOLDEN=1 pytest tests/golden`, for a new version.
"""

import os
from pathlib import Path

import pytest

from application.codec import EVENT_TYPES, Metadata, encode_metadata
from application.ports.event_store import NewEvent, RecordedEvent
from application.ports.subject_keys import SubjectCipher
from application.sealing import Opener, Sealer, bound_to
from domain.access.events import TokenIssued
from domain.actors import ActorKind
from domain.events import Event, stored_name
from infrastructure.keys import cipher as ciphers
from infrastructure.keys.cipher import Cipher
from tests.golden.samples import SAMPLES

FOLDER = Path(__file__).parent / "sealed"
KEY_ID = "00112233445566778899aabbccddeeff"
KEY = bytes(range(32))
METADATA = encode_metadata(Metadata(ActorKind.VISITOR, "contact-1", "request-1"))
STREAM, VERSION = "stream-1", 7

SEALED: tuple[Event, ...] = (
    *(sample for sample in SAMPLES if sample.personal and sample.personal_fields()),
    TokenIssued(
        ActorKind.VISITOR, "contact-1", "李雷", "conversation-1", (), 1_700_000_000_000_000
    ),
)


class OneKey:
    """The test's key, for everybody."""

    unsaved = False

    def of_subject(self, subject_id: str) -> SubjectCipher:
        return Cipher(KEY_ID, KEY)

    def get(self, key_id: str) -> SubjectCipher | None:
        assert key_id == KEY_ID
        return Cipher(KEY_ID, KEY)

    def forget(self, key_id: str) -> None: ...

    def key_id(self, subject_id: str) -> str | None:
        return KEY_ID

    def save(self) -> None: ...

    def destroy(self, subject_id: str) -> None: ...

    def is_destroyed(self, subject_id: str) -> bool:
        return False


@pytest.fixture(autouse=True)
def _fixed_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers._nonces, "next", lambda: bytes(range(12)), raising=False)


def seal(event: Event) -> NewEvent:
    return Sealer(OneKey()).encode(event, METADATA, STREAM, VERSION, "contact-1")


@pytest.mark.parametrize("event", SEALED, ids=stored_name)
def test_a_sealed_event_opens_as_it_was_written(event: Event) -> None:
    path = FOLDER / f"{stored_name(event)}.json"
    new = seal(event)
    text = new.metadata + b"\n" + new.payload + b"\n"
    if os.environ.get("KEFU_UPDATE_GOLDEN") == "1" and not path.exists():
        path.write_bytes(text)
    assert path.read_bytes() == text
    metadata, payload = path.read_bytes().splitlines()
    recorded = RecordedEvent(1, STREAM, VERSION, new.type, 0, metadata, payload)
    assert Opener(OneKey()).decode(recorded) == event


def test_every_version_that_was_ever_sealed_has_a_golden_file() -> None:
    names = {stored_name(event) for event in SEALED}
    assert names == {stored_name(cls) for cls in EVENT_TYPES if cls.personal}
    assert {path.stem for path in FOLDER.glob("*.json")} >= names


def test_the_place_is_the_version_in_eight_bytes_and_the_stream() -> None:
    assert bound_to("message-1", 258) == b"\0\0\0\0\0\0\1\2message-1"
