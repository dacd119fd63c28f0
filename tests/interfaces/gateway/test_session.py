"""A session's rules, without I/O: given a principal, when a frame arrives, then effects."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.commands.conversation import MoveReadCursor
from application.commands.message import SendMessage
from application.ports.core import Receipt
from domain.actors import Role
from domain.errors import Busy, ContentTooLong, ConversationResolved, KefuError, Unavailable
from interfaces.gateway.session import (
    MAX_IN_FLIGHT,
    MAX_SUBSCRIPTIONS,
    Close,
    Execute,
    Follow,
    FollowInbox,
    Reply,
    Session,
    Tell,
    Unfollow,
)
from tests.interfaces.gateway.people import CONVERSATION, agent, api_key, visitor

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


def receive(session: Session, **frame: Any) -> list[Any]:
    return list(session.receive(json.dumps(frame)))


def only_reply(effects: list[Any]) -> dict[str, Any]:
    assert len(effects) == 1
    assert isinstance(effects[0], Reply)
    found: dict[str, Any] = json.loads(effects[0].frame)
    return found


def send(session: Session, ref: str = "r", conversation_id: str = CONVERSATION) -> list[Any]:
    return receive(session, type="send", ref=ref, conversation_id=conversation_id, content="hi")


# Sending.


def test_a_send_is_a_command_and_nothing_is_said_before_its_receipt() -> None:
    effects = send(Session(visitor()))
    assert effects == [Execute(SendMessage(CONVERSATION, "r", "hi", False), "r")]


def test_the_receipt_becomes_the_ack() -> None:
    session = Session(visitor())
    (execute,) = send(session)
    receipt = Receipt(42, {"message_id": "m", "seq": 7})
    assert only_reply(session.executed(execute, receipt)) == {
        "type": "ack",
        "ref": "r",
        "message_id": "m",
        "seq": 7,
        "position": 42,
    }


@pytest.mark.parametrize(
    "error",
    [Busy("b"), Unavailable("u"), ConversationResolved(), ContentTooLong("c", "content")],
)
def test_a_refusal_of_the_core_becomes_an_error_with_the_ref(error: KefuError) -> None:
    session = Session(visitor())
    (execute,) = send(session)
    frame = only_reply(session.executed(execute, error))
    assert (frame["type"], frame["ref"], frame["code"]) == ("error", "r", error.code)


def test_too_many_sends_without_an_ack_are_busy_until_one_is_answered() -> None:
    session = Session(visitor())
    first = send(session, "r0")[0]
    for number in range(1, MAX_IN_FLIGHT):
        assert isinstance(send(session, f"r{number}")[0], Execute)
    refused = only_reply(send(session, "late"))
    assert (refused["code"], refused["ref"]) == ("busy", "late")
    session.executed(first, Receipt(1, {"message_id": "m", "seq": 1}))
    assert isinstance(send(session, "late")[0], Execute)


def test_a_refused_send_frees_its_place_too() -> None:
    session = Session(visitor())
    for _ in range(3 * MAX_IN_FLIGHT):
        (execute,) = send(session)
        session.executed(execute, Busy("full"))


# Who may see what.


def test_a_visitor_does_not_learn_that_another_conversation_exists() -> None:
    session = Session(visitor())
    for frame in (
        {"type": "subscribe", "conversation_id": "other"},
        {"type": "typing", "conversation_id": "other", "on": True},
    ):
        assert only_reply(receive(session, **frame))["code"] == "conversation-not-found"
    assert not session.following


def test_a_visitor_subscribes_to_its_own_conversation() -> None:
    effects = receive(
        Session(visitor()), type="subscribe", conversation_id=CONVERSATION, after_seq=4
    )
    assert effects == [Follow(CONVERSATION, 4)]


def test_the_inbox_is_for_staff() -> None:
    for principal in (visitor(), api_key()):
        reply = only_reply(receive(Session(principal), type="subscribe_inbox"))
        assert reply["code"] == "forbidden"
    for role in (Role.ADMIN, Role.AGENT):
        assert receive(Session(agent(role)), type="subscribe_inbox") == [FollowInbox()]


def test_an_auditor_does_not_show_itself() -> None:
    session = Session(agent(Role.AUDITOR))
    reply = only_reply(receive(session, type="typing", conversation_id="any", on=True))
    assert reply["code"] == "forbidden"


def test_an_api_key_subscribes_to_nothing() -> None:
    reply = only_reply(receive(Session(api_key()), type="subscribe", conversation_id="any"))
    assert reply["code"] == "forbidden"


def test_only_an_agent_is_shown_private_notes() -> None:
    assert Session(agent()).staff
    assert not Session(visitor()).staff
    assert not Session(api_key()).staff


# Subscriptions.


def test_subscriptions_are_bounded_and_a_repeat_does_not_count() -> None:
    session = Session(agent())
    for number in range(MAX_SUBSCRIPTIONS):
        receive(session, type="subscribe", conversation_id=f"c{number}")
    assert only_reply(receive(session, type="subscribe", conversation_id="x"))["type"] == "error"
    assert receive(session, type="subscribe", conversation_id="c0", after_seq=9) == [
        Follow("c0", 9)
    ]
    assert receive(session, type="unsubscribe", conversation_id="c1") == [Unfollow("c1")]
    assert receive(session, type="subscribe", conversation_id="x") == [Follow("x", 0)]


@pytest.mark.parametrize("seq", [-1, 2**31, 2**63, 10**30])
def test_a_seq_that_can_not_be_one_is_refused(seq: int) -> None:
    session = Session(agent())
    subscribe = receive(session, type="subscribe", conversation_id="c", after_seq=seq)
    read = receive(session, type="read", conversation_id="c", seq=seq)
    assert only_reply(subscribe)["code"] == only_reply(read)["code"] == "invalid-input"


# Typing, ping, what is not ours.


def test_typing_names_its_author_and_goes_to_the_others() -> None:
    (effect,) = receive(Session(agent()), type="typing", conversation_id="c", on=True)
    assert isinstance(effect, Tell)
    assert json.loads(effect.frame) == {
        "type": "typing",
        "conversation_id": "c",
        "author": {"kind": "agent", "id": "agent-agent", "name": "Han Meimei"},
        "on": True,
    }


def test_a_ping_gets_a_pong_with_its_ref() -> None:
    session = Session(visitor())
    assert only_reply(receive(session, type="ping", ref="p")) == {"type": "pong", "ref": "p"}
    assert only_reply(receive(session, type="ping")) == {"type": "pong", "ref": None}


def test_a_bad_frame_is_an_error_and_the_connection_stays() -> None:
    reply = only_reply(receive(Session(visitor()), type="dance", ref="r"))
    assert (reply["type"], reply["ref"], reply["code"]) == ("error", "r", "invalid-input")


def test_a_binary_frame_closes_with_1003() -> None:
    (effect,) = Session(visitor()).receive_binary()
    assert isinstance(effect, Close)
    assert effect.code == 1003


def test_text_that_is_not_json_closes_with_1007() -> None:
    (effect,) = Session(visitor()).receive("hello")
    assert isinstance(effect, Close)
    assert effect.code == 1007


# Cursors.


def test_while_a_cursor_moves_only_its_newest_place_waits() -> None:
    session = Session(visitor())
    (first,) = receive(session, type="read", conversation_id=CONVERSATION, seq=1)
    for seq in (2, 5, 3):
        assert receive(session, type="read", conversation_id=CONVERSATION, seq=seq) == []
    (second,) = session.executed(first, Receipt(1, {}))
    assert second == Execute(MoveReadCursor(CONVERSATION, 5), None)
    assert session.executed(second, Receipt(2, {})) == []


def test_read_and_delivered_move_apart() -> None:
    session = Session(visitor())
    assert len(receive(session, type="read", conversation_id=CONVERSATION, seq=1)) == 1
    assert len(receive(session, type="delivered", conversation_id=CONVERSATION, seq=1)) == 1


def test_a_refused_cursor_is_told_and_does_not_block_the_next() -> None:
    session = Session(visitor())
    (first,) = receive(session, type="read", conversation_id=CONVERSATION, seq=9)
    assert only_reply(session.executed(first, Unavailable("down")))["code"] == "unavailable"
    assert len(receive(session, type="read", conversation_id=CONVERSATION, seq=9)) == 1


@UNHURRIED
@given(st.lists(st.one_of(st.integers(0, 50), st.none()), max_size=60))
def test_coalesced_cursors_end_at_the_highest_place(steps: list[int | None]) -> None:
    """A number is a `read` frame; None: the command under way is answered."""
    session, under_way, sent, asked = Session(visitor()), [], [], []

    def take(effects: list[Any]) -> None:
        under_way.extend(effects)
        sent.extend(effect.command.seq for effect in effects)

    for step in (*steps, None, None):
        if step is not None:
            asked.append(step)
            take(receive(session, type="read", conversation_id=CONVERSATION, seq=step))
        elif under_way:
            take(list(session.executed(under_way.pop(), Receipt(1, {}))))
        assert len(under_way) <= 1, "at most one command of a cursor is under way"
    assert not under_way
    assert max(sent, default=None) == max(asked, default=None)


# Anything at all.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
_FIELDS = st.sampled_from(["type", "ref", "conversation_id", "content", "seq", "on", "after_seq"])
_TYPES = st.sampled_from(["send", "subscribe", "typing", "read", "ping", "subscribe_inbox", "x"])


@UNHURRIED
@given(st.dictionaries(_FIELDS, _JSON | _TYPES, max_size=6))
def test_no_json_object_breaks_a_session(frame: dict[str, Any]) -> None:
    Session(visitor()).receive(json.dumps(frame))


@UNHURRIED
@given(st.text(alphabet='{}[]":,ab1 \\type', max_size=40))
def test_no_text_breaks_a_session(text: str) -> None:
    Session(visitor()).receive(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"dance"',
        '{"type":"dance"} trailing',
        "[1,2",
        '{"type":"ping","x":' + "[" * 30_000,
        '{"type":"ping","ref":1e999}',
    ],
)
def test_a_frame_that_is_both_bad_and_broken_is_answered(text: str) -> None:
    effects = Session(visitor()).receive(text)
    assert len(effects) == 1
    assert isinstance(effects[0], Close | Reply)
