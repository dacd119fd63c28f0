"""Personal fields are sealed, bound to their place, and open only with their key."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application import codec
from application.codec import Metadata, UndecodableEvent, UnknownEventType, encode_metadata
from application.ports.event_store import NewEvent, RecordedEvent
from application.ports.subject_keys import SubjectKeyMissing
from application.sealing import IN_CLEAR, Opener, Sealer
from domain.access.events import TokenIssued
from domain.actors import ActorKind
from domain.contact.events import ContactCreated
from domain.events import Event, stored_name
from domain.idempotency.events import RequestCompleted
from domain.message.events import Author, MessageEdited, MessageSent
from infrastructure.keys.store import SubjectKeyStore
from tests.golden.samples import SAMPLES
from tests.keys import subject_keys

METADATA = encode_metadata(Metadata(ActorKind.VISITOR, "c", "r", traceparent="t"))
STREAM = "message-018f"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SubjectKeyStore]:
    with subject_keys(tmp_path_factory.mktemp("sealing") / "keys") as store:
        yield store


def recorded(new: NewEvent, stream: str = STREAM, version: int = 3) -> RecordedEvent:
    return RecordedEvent(9, stream, version, new.type, 5, new.metadata, new.payload)


def message(content: str, kind: ActorKind = ActorKind.VISITOR) -> MessageSent:
    return MessageSent("conv-1", 4, Author(kind, "a-1", "李雷"), content, False, "my-ref")


def seal(keys: SubjectKeyStore, event: Event, subject: str | None = "c") -> NewEvent:
    return Sealer(keys).encode(event, METADATA, STREAM, 3, subject)


@pytest.mark.parametrize("event", SAMPLES, ids=stored_name)
def test_every_event_opens_as_it_was_sealed(keys: SubjectKeyStore, event: Event) -> None:
    new = seal(keys, event)
    assert Opener(keys).decode(recorded(new)) == event
    personal = bool(event.personal_fields())
    assert (b'"sealed":"' in new.payload) == personal
    assert codec.decode_metadata(new.metadata).key_id == (keys.key_id("c") if personal else None)
    assert Opener(keys).fields(recorded(new)).fields == _fields(codec.encode(event, b"").payload)


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=text, name=text, kind=st.sampled_from(ActorKind))
def test_no_personal_text_is_left_in_what_is_stored(
    keys: SubjectKeyStore, content: str, name: str, kind: ActorKind
) -> None:
    marked = f"\u2603{content}"  # no other part of the event has this character
    event = MessageSent("conv-1", 4, Author(kind, "a-1", f"\u2603{name}"), marked, True, "\u2603r")
    new = seal(keys, event)
    assert Opener(keys).decode(recorded(new)) == event
    stored = (new.payload + new.metadata).decode()
    # Names of agents are not personal.
    assert stored.count("\u2603") == (kind is not ActorKind.VISITOR) * (1 + name.count("\u2603"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_the_seal_is_refused(keys: SubjectKeyStore, data: Any) -> None:
    new = seal(keys, message("words"))
    start = new.payload.index(b'"sealed":"') + len(b'"sealed":"')
    raw = bytearray(base64.b64decode(new.payload[start:-2]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    changed = new.payload[:start] + base64.b64encode(bytes(raw)) + b'"}'
    with pytest.raises(UndecodableEvent, match="do not open"):
        Opener(keys).decode(recorded(NewEvent(new.type, changed, new.metadata)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(1, 60))
def test_a_seal_that_is_cut_short_is_refused(keys: SubjectKeyStore, cut: int) -> None:
    new = seal(keys, message("words"))
    changed = new.payload[: -2 - cut] + b'"}'
    with pytest.raises(UndecodableEvent):
        Opener(keys).decode(recorded(NewEvent(new.type, changed, new.metadata)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(stream=text, version=st.integers(0, 2**40))
def test_a_seal_opens_in_its_own_place_only(
    keys: SubjectKeyStore, stream: str, version: int
) -> None:
    new = seal(keys, message("words"))
    if (stream, version) == (STREAM, 3):
        return
    for place in ((stream, version), (STREAM, version), (stream, 3)):
        if place != (STREAM, 3):
            with pytest.raises(UndecodableEvent):
                Opener(keys).decode(recorded(new, *place))


def test_another_subjects_key_does_not_open_it(keys: SubjectKeyStore) -> None:
    new = seal(keys, message("words"))
    other = keys.of_subject("somebody else").id.encode()
    own = keys.of_subject("c").id.encode()
    swapped = NewEvent(new.type, new.payload, new.metadata.replace(own, other))
    with pytest.raises(UndecodableEvent):
        Opener(keys).decode(recorded(swapped))


def test_events_in_clear_are_read_whatever_their_text(keys: SubjectKeyStore) -> None:
    tricky = message('","sealed":"AAAA"}')
    new = codec.encode(tricky, METADATA)
    assert Opener(keys).decode(recorded(new)) == tricky
    assert Opener(keys).decode(recorded(seal(keys, tricky))) == tricky


def test_an_erased_subjects_fields_are_empty_and_the_event_is_marked(tmp_path: Path) -> None:
    with subject_keys(tmp_path / "keys") as keys:
        said, agents = message("words"), message("words", ActorKind.AGENT)
        events = [said, agents, MessageEdited("conv-1", 4, "x"), ContactCreated("i", "n", "e")]
        stored = [recorded(seal(keys, event)) for event in events]
        keys.save()
        keys.destroy("c")
        opener = Opener(keys)
        envelopes = [opener.open_envelope(one) for one in stored]
        assert all(envelope.erased for envelope in envelopes)
        assert [envelope.event for envelope in envelopes] == [
            MessageSent("conv-1", 4, Author(ActorKind.VISITOR, "a-1", ""), "", False, ""),
            MessageSent("conv-1", 4, Author(ActorKind.AGENT, "a-1", "李雷"), "", False, ""),
            MessageEdited("conv-1", 4, ""),
            ContactCreated(None, None, None),
        ]
        fields, erased = opener.fields(stored[3])
        assert erased
        nothing = {"identifier": None, "name": None, "email": None}
        assert fields == {"type": "contact.created.v1", **nothing}


def test_a_key_that_is_missing_and_was_not_destroyed_is_an_error_with_its_name(
    keys: SubjectKeyStore, tmp_path: Path
) -> None:
    new = seal(keys, message("words"))
    with subject_keys(tmp_path / "keys") as others:
        for opener in (Opener(others), IN_CLEAR):
            with pytest.raises(SubjectKeyMissing, match=keys.of_subject("c").id):
                opener.open_envelope(recorded(new))


def test_a_reader_without_keys_never_takes_a_sealed_event_for_an_empty_one(
    keys: SubjectKeyStore,
) -> None:
    """An older kefu, too, finds fields missing and says so."""
    new = seal(keys, message("words"))
    with pytest.raises(UndecodableEvent, match="content"):
        codec.decode(new.type, new.payload)


def test_an_event_with_personal_fields_needs_a_subject(keys: SubjectKeyStore) -> None:
    with pytest.raises(ValueError, match="name its subject"):
        seal(keys, message("words"), None)
    request = RequestCompleted("f", {})
    assert seal(keys, request, None) == codec.encode(request, METADATA)
    token = TokenIssued(ActorKind.AGENT, "a", "Mei", None, (), None)
    assert seal(keys, token, None) == codec.encode(token, METADATA)


def test_a_sealed_event_of_a_newer_kefu_is_unknown_and_its_fields_can_be_shown(
    keys: SubjectKeyStore,
) -> None:
    new = seal(keys, message("words"))
    newer = NewEvent("message.sung.v1", new.payload, new.metadata)
    with pytest.raises(UnknownEventType):
        Opener(keys).decode(recorded(newer))
    assert Opener(keys).fields(recorded(newer)).fields["content"] == "words"


def _fields(payload: bytes) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.json.decode(payload)
    return fields
