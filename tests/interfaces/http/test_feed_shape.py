"""What the feed shows of events, also of those that a newer kefu wrote."""

from application.codec import Metadata, encode_metadata
from application.ports.event_store import RecordedEvent
from domain.actors import ActorKind
from interfaces.http.routes.events import cloud_event

METADATA = encode_metadata(Metadata(ActorKind.SYSTEM, "s", "c"))


def recorded(type: str, payload: bytes) -> RecordedEvent:
    return RecordedEvent(9, "agent-1", 3, type, 1_700_000_000_000_000, METADATA, payload)


def test_an_event_of_a_newer_version_is_passed_on_as_it_is_stored() -> None:
    found = cloud_event(recorded("agent.renamed.v7", b'{"type":"agent.renamed.v7","names":["a"]}'))
    assert found["type"] == "org.kefu.agent.renamed.v7"
    assert found["data"] == {"type": "agent.renamed.v7", "names": ["a"]}


def test_no_version_of_an_event_shows_a_password_hash() -> None:
    payload = b'{"type":"agent.password_set.v1","password_hash":"x","one_time":true}'
    found = cloud_event(recorded("agent.password_set.v1", payload))
    assert found["data"] == {"type": "agent.password_set.v1", "one_time": True}
    newer = cloud_event(recorded("agent.password_set.v2", b'{"phc":"$argon2id$..."}'))
    assert "data" not in newer
    assert newer["sequence"] == f"{3:020d}"
