"""What goes over the command socket.

A stream of frames in both directions, each a little-endian u32 length and as many bytes of
MessagePack: an array of calls, or of replies. Everything that is ready in one turn of an event
loop travels in one frame, so that a busy peer pays one system call and one decode for many.
Access is by file permission (0600): whoever may open the socket is trusted with the actor that it
names in a request.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from application.ports.core import Receipt, Request
from application.queries.core import CoreQuery
from domain.errors import InfrastructureError, InvalidInput, KefuError

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
LENGTH: Final = struct.Struct("<I")


class Call(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A command or a query, with the number that its reply will carry."""

    id: int
    request: Request | None = None
    query: CoreQuery | None = None


class Failure(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A `KefuError` on its way to another process."""

    code: str
    detail: str
    field: str | None = None


class Reply(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The answer to a call: a receipt, a query's answer as bytes, or a failure."""

    id: int
    receipt: Receipt | None = None
    answer: bytes | None = None
    failure: Failure | None = None


class ProtocolError(InfrastructureError):
    """The peer sent something else than frames of this protocol; the connection is closed."""

    code = "ipc-protocol-error"


_encoder: Final = msgspec.msgpack.Encoder()
decode_calls: Final[Callable[[bytes], list[Call]]] = msgspec.msgpack.Decoder(list[Call]).decode
decode_replies: Final[Callable[[bytes], list[Reply]]] = msgspec.msgpack.Decoder(list[Reply]).decode


def encode(value: Any) -> bytes:
    """MessagePack of any msgspec type."""
    return _encoder.encode(value)


def frame(messages: list[Call] | list[Reply]) -> bytes:
    """One frame of calls or replies."""
    body = _encoder.encode(messages)
    return LENGTH.pack(len(body)) + body


class FrameBuffer:
    """Cuts a stream of bytes into frames; has no I/O.

    Args:
        most: Bytes that a frame may have.
    """

    def __init__(self, most: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._most = most

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bodies of the frames that are complete with this data.

        Raises:
            ProtocolError: a frame longer than may be.
        """
        buffer = self._buffer
        buffer += data
        offset = 0
        while len(buffer) - offset >= 4:
            (length,) = LENGTH.unpack_from(buffer, offset)
            if length > self._most:
                raise ProtocolError(f"a frame of {length} bytes; at most {self._most}")
            end = offset + 4 + length
            if len(buffer) < end:
                break
            yield bytes(buffer[offset + 4 : end])
            offset = end
        del buffer[:offset]


def to_failure(error: Exception) -> Failure:
    """An error on its way out; what is not a `KefuError` is a bug and shows no internals."""
    if isinstance(error, InvalidInput):
        return Failure(error.code, error.detail, error.field)
    if isinstance(error, KefuError):
        return Failure(error.code, error.detail)
    return Failure("internal-error", "The core failed on this command; see its log.")


def to_error(failure: Failure) -> KefuError:
    """An error on its way in, as an instance of the class that has its code."""
    cls = _classes().get(failure.code)
    if cls is None:
        return InternalError(failure.detail)
    error = cls.__new__(cls)
    # The class's own __init__ builds the sentence from parts; here the sentence is ready.
    Exception.__init__(error, failure.detail)
    if isinstance(error, InvalidInput):
        error.field = failure.field
    return error


class InternalError(InfrastructureError):
    """The other side has a bug or is of another version."""

    code = "internal-error"


def _classes() -> dict[str, type[KefuError]]:
    if not _BY_CODE:
        todo: list[type[KefuError]] = [KefuError]
        while todo:
            cls = todo.pop()
            _BY_CODE.setdefault(cls.code, cls)
            todo += cls.__subclasses__()
    return _BY_CODE


_BY_CODE: Final[dict[str, type[KefuError]]] = {}
