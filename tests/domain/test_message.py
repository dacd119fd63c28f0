"""Rules of the Message aggregate and of content."""

import uuid
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import errors, text
from domain.actors import Actor, ActorKind, Role
from domain.message import message as m

VISITOR = Actor(ActorKind.VISITOR, "v", "Li Lei", conversation_id="c")
AGENT = Actor(ActorKind.AGENT, "a", "Mei", Role.AGENT)
ADMIN = Actor(ActorKind.AGENT, "root", "Root", Role.ADMIN)


def sent(author: Actor = VISITOR, content: str = "你好") -> m.Message:
    empty = m.Message("m")
    return reduce(m.evolve, m.send(empty, "c", 1, author, content, "r", private=False), empty)


def test_the_same_sender_ref_and_conversation_give_the_same_id() -> None:
    one = m.message_id("c", VISITOR, "r")
    assert one == m.message_id("c", VISITOR, "r")
    assert len({one, m.message_id("c2", VISITOR, "r"), m.message_id("c", AGENT, "r")}) == 3
    assert one != m.message_id("c", VISITOR, "r2")


def test_ids_that_are_in_logs_stay_as_they_are() -> None:
    """ADR 0003: UUIDs of version 8 with the variant of RFC 9562."""
    ids = [uuid.UUID(m.message_id("c", VISITOR, str(number))) for number in range(64)]
    assert {(id.version, id.variant) for id in ids} == {(8, uuid.RFC_4122)}
    assert str(ids[0]) == "5e8b7bc4-a378-81b8-98e8-052cfbbd0522"


def test_parts_of_an_id_can_not_run_into_each_other() -> None:
    a = Actor(ActorKind.VISITOR, "x")
    b = Actor(ActorKind.VISITOR, "xy")
    assert m.message_id("c", a, "yr") != m.message_id("c", b, "r")


def test_sending_again_says_nothing_new() -> None:
    assert m.send(sent(), "c", 2, VISITOR, "你好", "r", private=False) == ()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", errors.ContentEmpty),
        (" \n\t\u3000", errors.ContentEmpty),
        ("x" * 16_385, errors.ContentTooLong),
        ("a\x00b", errors.ContentInvalid),
        ("a\x1bb", errors.ContentInvalid),
        ("a\x9fb", errors.ContentInvalid),
        ("lone \ud800 surrogate", errors.ContentInvalid),
    ],
)
def test_bad_content_is_rejected_with_its_own_code(
    content: str, error: type[errors.InvalidInput]
) -> None:
    with pytest.raises(error):
        m.send(m.Message("m"), "c", 1, VISITOR, content, "r", private=False)


@pytest.mark.parametrize("content", ["x", "客" * 16_384, "line\nline\ttab", "👩‍👩‍👧 ok", "مرحبا"])
def test_good_content_is_accepted(content: str) -> None:
    text.check_content(content)


@pytest.mark.parametrize("ref", ["", "x" * 65, "a\nb\x00"])
def test_a_bad_ref_is_rejected(ref: str) -> None:
    with pytest.raises(errors.InvalidInput):
        m.send(m.Message("m"), "c", 1, VISITOR, "hi", ref, private=False)


def test_only_the_author_edits() -> None:
    (event,) = m.edit(sent(), VISITOR, "改了")
    assert m.evolve(sent(), event).content == "改了"
    for other in (AGENT, ADMIN):
        with pytest.raises(errors.Forbidden):
            m.edit(sent(), other, "no")


def test_an_edit_to_the_same_content_says_nothing_new() -> None:
    assert m.edit(sent(), VISITOR, "你好") == ()


def test_the_author_or_an_administrator_recalls_and_the_content_goes() -> None:
    with pytest.raises(errors.Forbidden):
        m.recall(sent(), AGENT)
    for actor in (VISITOR, ADMIN):
        (event,) = m.recall(sent(), actor)
        state = m.evolve(sent(), event)
        assert (state.content, state.recalled) == ("", True)
        assert m.recall(state, actor) == ()


def test_a_recalled_message_can_not_be_edited() -> None:
    state = reduce(m.evolve, m.recall(sent(), VISITOR), sent())
    with pytest.raises(errors.MessageAlreadyRecalled):
        m.edit(state, VISITOR, "back")


def test_an_unknown_message_is_not_found() -> None:
    with pytest.raises(errors.MessageNotFound):
        m.recall(m.Message("m"), ADMIN)


@given(st.text())
def test_any_text_is_either_accepted_or_refused_with_a_content_code(content: str) -> None:
    code = "content-ok"
    try:
        text.check_content(content)
    except errors.InvalidInput as error:
        code = error.code
    assert code.startswith("content-")
