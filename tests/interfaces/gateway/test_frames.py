"""Frames: what is taken, what is refused, and with which words."""

import json

import pytest

from interfaces.gateway import frames


def test_every_frame_of_the_contract_is_understood() -> None:
    for text in (
        '{"type":"send","ref":"r","conversation_id":"c","content":"hi"}',
        '{"type":"send","ref":"r","conversation_id":"c","content":"hi","private":true}',
        '{"type":"subscribe","conversation_id":"c","after_seq":3}',
        '{"type":"subscribe_inbox"}',
        '{"type":"typing","conversation_id":"c","on":true}',
        '{"type":"read","conversation_id":"c","seq":3}',
        '{"type":"ping","ref":"r"}',
    ):
        decoded = frames.decode(text)
        assert decoded.__struct_config__.tag == json.loads(text)["type"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"dance","ref":"r"}',
        '{"ref":"r"}',
        '{"type":"send","ref":"r","conversation_id":"c"}',
        '{"type":"send","ref":"r","conversation_id":"c","content":5}',
        '{"type":"typing","ref":"r","conversation_id":"c","on":"yes"}',
        '{"type":"read","ref":"r","conversation_id":"c","seq":1.5}',
        '{"type":"ping","ref":"r","extra":1}',
    ],
)
def test_a_frame_that_is_none_of_ours_is_refused_with_its_ref(text: str) -> None:
    with pytest.raises(frames.BadFrame) as caught:
        frames.decode(text)
    assert caught.value.code == "invalid-input"
    assert caught.value.ref == "r"


@pytest.mark.parametrize("text", ["[]", "null", "5", '"text"', '{"type":"ping","ref":5}'])
def test_without_a_readable_ref_the_refusal_has_none(text: str) -> None:
    with pytest.raises(frames.BadFrame) as caught:
        frames.decode(text)
    assert caught.value.ref is None


@pytest.mark.parametrize("text", ["", "hello", "{", '{"type":"ping"', '{"type":"ping"} x', b"\xff"])
def test_what_is_not_json_is_told_apart_from_a_bad_frame(text: str | bytes) -> None:
    with pytest.raises(frames.NotJson):
        frames.decode(text)


def test_an_error_frame_has_ref_code_and_detail() -> None:
    frame = json.loads(frames.error("busy", "Try again.", "r"))
    assert frame == {"type": "error", "ref": "r", "code": "busy", "detail": "Try again."}
    assert json.loads(frames.error("busy", "Try again."))["ref"] is None
