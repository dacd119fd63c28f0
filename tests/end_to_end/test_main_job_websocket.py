"""The public contract over WebSocket, on a running system."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.end_to_end.people import API, World, fresh
from tests.serving import Kefu

PROTOCOL = "kefu.v1"
WAIT_S = 60.0


class Client:
    """One connection of a visitor or agent."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, type: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"type": type, **fields}))

    def receive(self, bound_s: float = WAIT_S) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(bound_s))
        return frame

    def until(self, type: str, *, bound_s: float = WAIT_S, **fields: Any) -> dict[str, Any]:
        """The next frame of a type with these fields; others are passed over."""
        while True:
            frame = self.receive(bound_s)
            if frame["type"] == type and fields.items() <= frame.items():
                return frame


@contextmanager
def client(kefu: Kefu, token: str) -> Iterator[Client]:
    with connect(kefu.ws_url, subprotocols=[PROTOCOL, f"bearer.{token}"]) as connection:  # type: ignore[list-item]
        yield Client(connection)


def test_a_token_is_taken_in_all_three_places(kefu: Kefu, visitor: dict[str, Any]) -> None:
    token = visitor["token"]
    for url, more in (
        (f"{kefu.ws_url}?token={token}", {"subprotocols": [PROTOCOL]}),
        (kefu.ws_url, {"subprotocols": [PROTOCOL, f"bearer.{token}"]}),
        (kefu.ws_url, {"additional_headers": {"Authorization": f"Bearer {token}"}}),
    ):
        with connect(url, **more) as connection:  # type: ignore[arg-type]
            connection.send('{"type": "ping", "ref": "1"}')
            assert json.loads(connection.recv(WAIT_S)) == {"type": "pong", "ref": "1"}
            assert connection.subprotocol == (PROTOCOL if "subprotocols" in more else None)


def test_without_a_token_the_handshake_is_refused(kefu: Kefu) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{kefu.ws_url}?token=wrong"):
        pass
    assert refused.value.response.status_code == 401


def test_an_ack_comes_for_a_send_and_the_same_ref_gets_the_same_ack(
    kefu: Kefu, visitor: dict[str, Any]
) -> None:
    frame = {"ref": "r1", "conversation_id": visitor["conversation_id"], "content": "在吗？"}
    acks = []
    for _ in range(2):
        with client(kefu, visitor["token"]) as socket:
            socket.send("send", **frame)
            acks.append(socket.until("ack"))
    assert acks[0] == acks[1]
    assert acks[0].keys() == {"type", "ref", "message_id", "seq", "position"}
    assert (acks[0]["ref"], acks[0]["seq"]) == ("r1", 1)
    path = f"{API}/conversations/{visitor['conversation_id']}/messages"
    _, found = kefu.get(path, visitor["token"], headers=fresh(acks[0]))
    assert len(found["data"]) == 1


def test_the_same_ref_with_other_words_is_refused(kefu: Kefu, visitor: dict[str, Any]) -> None:
    id = visitor["conversation_id"]
    with client(kefu, visitor["token"]) as socket:
        socket.send("send", ref="r", conversation_id=id, content="one")
        socket.until("ack")
        socket.send("send", ref="r", conversation_id=id, content="two")
        assert socket.until("error")["code"] == "ref-reused"


def test_a_pushed_message_is_the_message_that_http_shows(
    world: World, visitor: dict[str, Any]
) -> None:
    kefu, id = world.kefu, visitor["conversation_id"]
    with client(kefu, world.agent) as agent, client(kefu, visitor["token"]) as guest:
        agent.send("subscribe", conversation_id=id, after_seq=0)
        agent.until("subscribed")
        guest.send("send", ref="1", conversation_id=id, content="hello 你好")
        ack = guest.until("ack")
        pushed = agent.until("message")
    path = f"{API}/conversations/{id}/messages"
    _, found = kefu.get(path, world.agent, headers=fresh(ack))
    assert found["data"] == [{key: pushed[key] for key in pushed if key != "type"}]


def test_after_a_reconnect_only_what_is_newer_is_replayed(
    world: World, visitor: dict[str, Any]
) -> None:
    kefu, id = world.kefu, visitor["conversation_id"]
    path = f"{API}/conversations/{id}/messages"
    for number in range(1, 6):
        kefu.post(path, {"content": str(number)}, world.agent)
    with client(kefu, visitor["token"]) as guest:
        guest.send("subscribe", conversation_id=id, after_seq=3)
        assert [guest.until("message")["seq"] for _ in range(2)] == [4, 5]
        kefu.post(path, {"content": "6"}, world.agent)
        assert guest.until("message")["seq"] == 6


def test_a_private_note_is_pushed_to_staff_and_never_to_the_visitor(
    world: World, visitor: dict[str, Any]
) -> None:
    kefu, id = world.kefu, visitor["conversation_id"]
    with client(kefu, world.agent) as agent, client(kefu, visitor["token"]) as guest:
        for socket in (agent, guest):
            socket.send("subscribe", conversation_id=id, after_seq=0)
            socket.until("subscribed")
        agent.send("send", ref="n", conversation_id=id, content="secret", private=True)
        agent.send("send", ref="m", conversation_id=id, content="public")
        assert [agent.until("message")["content"] for _ in range(2)] == ["secret", "public"]
        assert guest.until("message")["content"] == "public"


def test_many_senders_at_once_are_heard_by_all_in_one_order_without_gap_or_double(
    world: World, visitor: dict[str, Any]
) -> None:
    kefu, id, each, senders = world.kefu, visitor["conversation_id"], 40, 5
    heard: dict[int, list[int]] = {}
    acked: list[int] = []
    start = threading.Barrier(senders)

    def talk(number: int) -> None:
        token = visitor["token"] if number == 0 else world.agent
        with client(kefu, token) as socket:
            socket.send("subscribe", conversation_id=id, after_seq=0)
            socket.until("subscribed")
            start.wait(WAIT_S)
            for turn in range(each):
                ref = f"{number}-{turn}"
                socket.send("send", ref=ref, conversation_id=id, content=ref)
            seen: list[int] = []
            acks = 0
            while len(seen) < senders * each or acks < each:
                frame = socket.receive()
                if frame["type"] == "message":
                    seen.append(frame["seq"])
                elif frame["type"] == "ack":
                    acks += 1
                    acked.append(frame["seq"])
            heard[number] = seen

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    whole = list(range(1, senders * each + 1))
    assert sorted(acked) == whole
    assert heard == dict.fromkeys(range(senders), whole)


def test_typing_and_reading_are_shown_to_the_other_side(
    world: World, visitor: dict[str, Any]
) -> None:
    kefu, id = world.kefu, visitor["conversation_id"]
    with client(kefu, world.agent) as agent, client(kefu, visitor["token"]) as guest:
        for socket in (agent, guest):
            socket.send("subscribe", conversation_id=id, after_seq=0)
            socket.until("subscribed")
        guest.send("typing", conversation_id=id, on=True)
        assert agent.until("typing")["on"] is True
        agent.send("send", ref="1", conversation_id=id, content="hi")
        guest.until("message")
        guest.send("read", conversation_id=id, seq=1)
        assert agent.until("read")["seq"] == 1


def test_the_inbox_tells_staff_of_every_change(world: World, visitor: dict[str, Any]) -> None:
    kefu, id = world.kefu, visitor["conversation_id"]
    with client(kefu, world.agent) as agent:
        agent.send("subscribe_inbox")
        path = f"{API}/conversations/{id}"
        kefu.post(f"{path}/messages", {"content": "new here"}, visitor["token"])
        changed = agent.until("conversation", id=id, last_seq=1)
        assert changed["last_message"]["content"] == "new here"
        kefu.post(f"{path}/toggle_status", {"status": "resolved"}, world.agent)
        agent.until("conversation", id=id, status="resolved")


def test_what_a_visitor_may_not_is_refused_and_the_connection_goes_on(
    world: World, visitor: dict[str, Any]
) -> None:
    kefu, own = world.kefu, visitor["conversation_id"]
    foreign = kefu.visitor()["conversation_id"]
    with client(kefu, visitor["token"]) as guest:
        for code, type, fields in (
            ("conversation-not-found", "subscribe", {"conversation_id": foreign}),
            (
                "conversation-not-found",
                "send",
                {"ref": "1", "conversation_id": foreign, "content": "x"},
            ),
            ("conversation-not-found", "typing", {"conversation_id": foreign, "on": True}),
            ("conversation-not-found", "read", {"conversation_id": foreign, "seq": 0}),
            ("forbidden", "subscribe_inbox", {}),
            (
                "forbidden",
                "send",
                {"ref": "1", "conversation_id": own, "content": "x", "private": True},
            ),
            ("content-empty", "send", {"ref": "1", "conversation_id": own, "content": " "}),
            (
                "content-too-long",
                "send",
                {"ref": "1", "conversation_id": own, "content": "x" * 16_385},
            ),
            ("invalid-input", "send", {"ref": "", "conversation_id": own, "content": "x"}),
            ("invalid-input", "send", {"conversation_id": own, "content": "x"}),
            ("invalid-input", "no_such_type", {}),
            ("invalid-input", "ping", {"ref": "1", "colour": "red"}),
        ):
            guest.send(type, **fields)
            assert guest.until("error")["code"] == code, (type, fields)
        guest.send("ping", ref="alive")
        guest.until("pong", ref="alive")


@pytest.mark.parametrize(
    ("frame", "code"),
    [("not json", 1007), ('{"type": "ping"', 1007), (b"\x00\x01", 1003), ("x" * 70_000, 1009)],
    ids=["not-json", "half-json", "binary", "too-long"],
)
def test_a_frame_that_is_no_json_text_ends_the_connection_with_its_code(
    kefu: Kefu, visitor: dict[str, Any], frame: str | bytes, code: int
) -> None:
    with client(kefu, visitor["token"]) as guest:
        guest.connection.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            guest.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def test_a_session_that_is_ended_is_ended_on_the_socket_too(kefu: Kefu) -> None:
    token = kefu.agent()[1]
    with client(kefu, token) as agent:
        agent.send("ping", ref="1")
        agent.until("pong")
        kefu.request("POST", f"{API}/auth/logout", None, token)
        with pytest.raises(ConnectionClosed) as closed:
            agent.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
