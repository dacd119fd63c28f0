"""The codec: round trips, upcasting, and clear errors for what it can't read."""

from typing import Any

import pytest

from application import codec
from domain.actors import ActorKind
from domain.agent.events import AgentRenamed
from tests.golden.samples import SAMPLES


@pytest.mark.parametrize("event", SAMPLES, ids=lambda e: type(e).__name__)
def test_every_event_survives_the_round_trip(event: Any) -> None:
    stored = codec.encode(event, b"m")
    assert codec.decode(stored.type, stored.payload) == event


def test_metadata_survives_the_round_trip_and_leaves_out_what_is_not_known() -> None:
    metadata = codec.Metadata(ActorKind.AGENT, "a", "c")
    encoded = codec.encode_metadata(metadata)
    assert codec.decode_metadata(encoded) == metadata
    assert b"traceparent" not in encoded


def test_an_unknown_type_is_an_error_that_names_it() -> None:
    with pytest.raises(codec.UnknownEventType, match=r"conversation\.opened\.v99"):
        codec.decode("conversation.opened.v99", b"{}")


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[]", b'{"type":"agent.renamed.v1"}'])
def test_a_payload_that_does_not_fit_its_type_is_an_error(payload: bytes) -> None:
    with pytest.raises(codec.UndecodableEvent):
        codec.decode("agent.renamed.v1", payload)


def test_an_old_version_is_read_through_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    def v_a(fields: dict[str, Any]) -> dict[str, Any]:
        return {"type": "agent.renamed.v0b", "full": fields["first"] + fields["last"]}

    def v_b(fields: dict[str, Any]) -> dict[str, Any]:
        return {"type": "agent.renamed.v1", "name": fields["full"]}

    chain = {"agent.renamed.v0a": v_a, "agent.renamed.v0b": v_b}
    monkeypatch.setattr(codec, "UPCASTERS", chain)
    old = b'{"type":"agent.renamed.v0a","first":"Han","last":"Mei"}'
    assert codec.decode("agent.renamed.v0a", old) == AgentRenamed("HanMei")
