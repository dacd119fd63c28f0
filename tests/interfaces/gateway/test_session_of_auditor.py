"""What an auditor follows over `/ws` is written down first (ADR 0019)."""

from application.commands.audit import RecordRead
from application.ports.core import Receipt
from domain.actors import Role
from domain.errors import Busy
from interfaces.gateway.session import Follow, FollowInbox, Record, Session
from tests.interfaces.gateway.people import agent
from tests.interfaces.gateway.test_session import only_reply, receive


def test_what_an_auditor_follows_is_written_down_first() -> None:
    session = Session(agent(Role.AUDITOR))
    for frame, what, subject, then in (
        ({"type": "subscribe_inbox"}, "subscribe_inbox", None, FollowInbox()),
        ({"type": "subscribe", "conversation_id": "c"}, "subscribe", "c", Follow("c", 0)),
    ):
        (record,) = receive(session, **frame)
        assert record == Record(RecordRead(what, subject, {}), then)
        assert session.recorded(record, Receipt(7, {})) == [then]


def test_what_can_not_be_written_down_an_auditor_does_not_see() -> None:
    session = Session(agent(Role.AUDITOR))
    (record,) = receive(session, type="subscribe", conversation_id="c")
    reply = only_reply(session.recorded(record, Busy("no")))
    assert reply["code"] == "unavailable"
    assert session.following == {}


def test_an_auditor_that_unsubscribed_meanwhile_follows_nothing() -> None:
    session = Session(agent(Role.AUDITOR))
    (record,) = receive(session, type="subscribe", conversation_id="c")
    receive(session, type="unsubscribe", conversation_id="c")
    assert session.recorded(record, Receipt(7, {})) == []
