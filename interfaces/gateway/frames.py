"""Frames of `/ws`: one JSON object a text frame, told apart by `type`. The contract names them."""

from typing import Any, Final

import msgspec

from domain.errors import InvalidInput


class _Frame(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """Unknown fields are refused: a misspelt one would silently do nothing."""


class Send(_Frame, frozen=True, tag="send"):
    """Say something; `ref` is the client's own id of the message."""

    ref: str
    conversation_id: str
    content: str
    private: bool = False


class Subscribe(_Frame, frozen=True, tag="subscribe"):
    """Everything of a conversation after a message, then live."""

    conversation_id: str
    after_seq: int = 0
    presence: bool = False
    """For agents: `presence` frames too, whether the visitor is online."""


class Unsubscribe(_Frame, frozen=True, tag="unsubscribe"):
    """No more of this conversation."""

    conversation_id: str


class SubscribeInbox(_Frame, frozen=True, tag="subscribe_inbox"):
    """Changes of the conversation list, for staff."""


class Typing(_Frame, frozen=True, tag="typing"):
    """The sender is typing, or has stopped."""

    conversation_id: str
    on: bool


class Read(_Frame, frozen=True, tag="read"):
    """Everything up to `seq` was read."""

    conversation_id: str
    seq: int


class Delivered(_Frame, frozen=True, tag="delivered"):
    """Everything up to `seq` has arrived."""

    conversation_id: str
    seq: int


class Ping(_Frame, frozen=True, tag="ping"):
    """Asks for a pong."""

    ref: str | None = None


ClientFrame = Send | Subscribe | Unsubscribe | SubscribeInbox | Typing | Read | Delivered | Ping

MAX_INT: Final = 2**31 - 1

_decoder: Final[msgspec.json.Decoder[ClientFrame]] = msgspec.json.Decoder(ClientFrame)
_encoder: Final = msgspec.json.Encoder()


class NotJson(Exception):
    """The frame is not JSON text; the connection must be closed."""


class BadFrame(InvalidInput):
    """The frame is JSON and none of ours."""

    code = "invalid-input"

    def __init__(self, detail: str, ref: str | None) -> None:
        super().__init__(detail)
        self.ref = ref


def decode(text: str | bytes) -> ClientFrame:
    """A client's frame.

    Raises:
        NotJson: it is not JSON.
        BadFrame: it is none of the frames above, or a field is wrong.
    """
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise BadFrame(str(error), _ref_of(text)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotJson from None


def encode(frame: dict[str, Any]) -> bytes:
    """A server's frame."""
    return _encoder.encode(frame)


def error(code: str, detail: str, ref: str | None = None) -> bytes:
    """An error frame; the connection stays open."""
    return _encoder.encode({"type": "error", "ref": ref, "code": code, "detail": detail})


def _ref_of(text: str | bytes) -> str | None:
    """The ref of a bad frame, so that the client knows which one was refused."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # The decoder stops at the first thing that is wrong, and the text goes on to be broken.
        raise NotJson from None
    ref = found.get("ref") if isinstance(found, dict) else None
    return ref if isinstance(ref, str) and len(ref) <= 64 else None
