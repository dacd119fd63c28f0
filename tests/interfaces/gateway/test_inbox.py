"""Changes of the conversation list, told as fast as a client takes them."""

from interfaces.gateway.inbox import MAX_WAITING, Inbox


class _Client:
    def __init__(self) -> None:
        self.room = True
        self.heard: list[bytes] = []
        self.inbox = Inbox(self.heard.append, lambda: self.room)


def test_a_client_with_room_is_told_at_once() -> None:
    client = _Client()
    assert client.inbox.changed("a", b"a1")
    assert client.heard == [b"a1"]


def test_without_room_only_the_newest_state_of_each_conversation_waits() -> None:
    client = _Client()
    client.room = False
    for id, frame in (("a", b"a1"), ("b", b"b1"), ("a", b"a2")):
        assert client.inbox.changed(id, frame)
    assert client.heard == []
    client.room = True
    client.inbox.resume()
    assert client.heard == [b"a2", b"b1"]


def test_what_comes_while_others_wait_does_not_overtake_them() -> None:
    client = _Client()
    client.room = False
    client.inbox.changed("a", b"a1")
    client.room = True
    client.inbox.changed("a", b"a2")
    client.inbox.resume()
    assert client.heard == [b"a2"]


def test_a_client_that_never_has_room_is_given_up() -> None:
    client = _Client()
    client.room = False
    assert all(client.inbox.changed(str(n), b"") for n in range(MAX_WAITING))
    assert not client.inbox.changed("one more", b"")
