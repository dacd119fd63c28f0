"""The codec: round trips, upcasting, and clear errors for what it can't read."""

from typing import Any

import pytest

from application import codec
from domain.actors import ActorKind
from domain.events import Event
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


class Rated(Event, frozen=True, tag="ticket.rated.v3"):
    """An event that exists only here, in its third version."""

    stars: int
    comment: str | None


def _v1_to_v2(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ticket.rated.v2", "stars": 5 if fields["good"] else 1}


def _v2_to_v3(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "type": "ticket.rated.v3", "comment": None}


CHAIN = {"ticket.rated.v1": _v1_to_v2, "ticket.rated.v2": _v2_to_v3}


@pytest.mark.parametrize(
    ("version", "payload"),
    [
        (1, b'{"type":"ticket.rated.v1","good":true}'),
        (2, b'{"type":"ticket.rated.v2","stars":5}'),
        (3, b'{"type":"ticket.rated.v3","stars":5,"comment":null}'),
    ],
)
def test_every_version_is_read_through_the_steps_that_it_lacks(
    version: int, payload: bytes
) -> None:
    versions = codec.EventCodec([Rated], CHAIN)
    assert versions.decode(f"ticket.rated.v{version}", payload) == Rated(5, None)
    assert versions.knows(f"ticket.rated.v{version}")


@pytest.mark.parametrize("type", ["conversation.opened.v2", "conversation.opened.v10"])
def test_a_newer_version_is_refused_and_the_error_says_what_to_do(type: str) -> None:
    with pytest.raises(codec.NewerEventVersion) as caught:
        codec.decode(type, b"not even JSON")
    assert type in caught.value.detail
    assert "knows versions up to 1" in caught.value.detail
    assert "start the one that wrote it, or a newer one" in caught.value.detail
    assert caught.value.code == "newer-event-version"
    assert not codec.knows(type)


@pytest.mark.parametrize("type", ["conversation.dreamt.v1", "conversation.opened.vX", "", "v1"])
def test_what_is_no_version_of_a_known_event_is_an_unknown_type(type: str) -> None:
    with pytest.raises(codec.UnknownEventType, match="or a newer one") as caught:
        codec.decode(type, b"{}")
    assert caught.value.code == "unknown-event-type"


def _unfinished(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ticket.rated.v1b"}


def _in_a_circle(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


def _no_fields(fields: dict[str, Any]) -> Any:
    return None


@pytest.mark.parametrize("step", [_v1_to_v2, _unfinished, _in_a_circle, _no_fields])
@pytest.mark.parametrize("payload", [b'{"type":"ticket.rated.v1"}', b"[]", b"{"])
def test_a_payload_that_no_step_can_take_is_an_error_that_names_it(
    step: codec.Upcaster, payload: bytes
) -> None:
    versions = codec.EventCodec([Rated], {"ticket.rated.v1": step})
    with pytest.raises(codec.UndecodableEvent, match=r"ticket\.rated\.v1"):
        versions.decode("ticket.rated.v1", payload)


def test_there_is_one_newest_version_of_an_event() -> None:
    class AlsoRated(Event, frozen=True, tag="ticket.rated.v2"):
        stars: int

    for types in ([Rated, AlsoRated], [Rated, Rated]):
        with pytest.raises(ValueError, match="not the only newest"):
            codec.EventCodec(types, {})
    with pytest.raises(ValueError, match="not the only newest"):
        codec.EventCodec([Rated], {"ticket.rated.v3": _v2_to_v3})
