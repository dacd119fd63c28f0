r"""What goes over a link, inside TLS. Each connection begins with one line that names a service::

    the remote gateway                    the link role, next to the log
    kefu-link/1 core\n
                                          ok\n
    then both ways the bytes of the core's Unix socket (infrastructure/ipc/protocol.py)

    kefu-link/1 web\n
                                          ok\n
    then both ways the bytes of the web role's Unix socket, a PROXY v2 header first

    kefu-link/1 feed AFTER RECORDED_US NAME\n
                                          ok POSITION RECORDED_US\n
    frames of `Alive`                     frames of `Batch`, from POSITION on

or is answered `no REASON\n` and closed. AFTER is the last position that is there, and RECORDED_US
when that event was recorded, so that a log with another history is noticed (0: not asked); AFTER
`end` begins at the log's end. NAME is the remote process in metrics. A frame is a little-endian u32
length and as many bytes of MessagePack.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from application.ports.event_store import RecordedEvent
from domain.errors import InfrastructureError
from infrastructure.ipc.protocol import LENGTH

MAX_LINE_BYTES: Final = 256
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""A frame that a link sends; some 256 KiB, but one event alone may have 1 MiB."""
MAX_ALIVE_BYTES: Final = 256 * 1024
"""A frame that a remote sends."""
ALIVE_S: Final = 1.0
"""Each end of a feed says something at least so often."""
SILENCE_S: Final = 6.0
"""An end that says nothing for so long is gone."""
OTHER_LOG: Final = "other-log"
"""Reason of a refusal: there is no such position, or another event at it."""
_GREETING: Final = b"kefu-link/1 "
_FILL_BYTES: Final = 256 * 1024
_FEED: Final = re.compile(rb"feed (end|[0-9]{1,19}) ([0-9]{1,19}) ([!-~]{1,100})")
_OK: Final = re.compile(rb"ok(?: ([0-9]{1,19}) ([0-9]{1,19}))?")


class LinkProtocolError(InfrastructureError):
    """The peer sent something else than this protocol; the connection is closed."""

    code = "link-protocol-error"


class LinkRefused(ConnectionError):
    """The link does not give this service now; an `OSError`, as all that hinders a connection."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mark(NamedTuple):
    """A place in the log."""

    position: int
    recorded_us: int
    """When the event at the position was recorded; 0: not known."""


class FeedRequest(NamedTuple):
    """What a remote asks of the feed."""

    after: Mark | None
    """None: the log's end."""
    name: str
    """Of the remote process."""


class Batch(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Events in order without a gap, or none as a sign of life."""

    durable: int
    """The log's durable position."""
    events: list[tuple[int, str, int, str, int, bytes, bytes]]
    """Fields of `RecordedEvent`, in its order."""


class Alive(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A remote's sign of life."""

    metrics: bytes | None = None
    """Its numbers in Prometheus's text format, now and then."""


_encoder: Final = msgspec.msgpack.Encoder()
decode_batch: Final = msgspec.msgpack.Decoder(Batch).decode
decode_alive: Final = msgspec.msgpack.Decoder(Alive).decode


def ask(service: str) -> bytes:
    """The line for `core` or `web`."""
    return _GREETING + service.encode() + b"\n"


def ask_feed(request: FeedRequest) -> bytes:
    """The line for `feed`."""
    after = request.after
    words = ("feed", "end", 0) if after is None else ("feed", *after)
    return ask(" ".join(map(str, (*words, request.name))))


def asked(line: bytes) -> str | FeedRequest:
    """What a first line, without its end, asks for: `core`, `web` or a feed.

    Raises:
        LinkProtocolError: it is no such line.
    """
    words = line.removeprefix(_GREETING)
    if words in (b"core", b"web") and words != line:
        return words.decode()
    found = _FEED.fullmatch(words)
    if found is None or words == line:
        raise LinkProtocolError("a connection that does not begin as one of a link")
    after, recorded_us, name = found.groups()
    mark = None if after == b"end" else Mark(int(after), int(recorded_us))
    return FeedRequest(mark, name.decode())


def accept(mark: Mark | None = None) -> bytes:
    """The answer `ok`, for a feed with where it begins."""
    return b"ok\n" if mark is None else b"ok %d %d\n" % mark


def refuse(reason: str) -> bytes:
    """The answer `no`."""
    return f"no {reason}\n".encode()


def answered(line: bytes) -> Mark | None:
    """Where a feed begins; None: it is another service.

    Raises:
        LinkRefused: with the link's reason, or because it is no answer.
    """
    if line.startswith(b"no "):
        raise LinkRefused(line[3:].decode(errors="replace"))
    found = _OK.fullmatch(line)
    if found is None:
        raise LinkRefused("what answers is not a link")
    return None if found[1] is None else Mark(int(found[1]), int(found[2]))


def frame(message: Batch | Alive) -> bytes:
    """One frame."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def batches(durable: int, events: Sequence[RecordedEvent]) -> Iterator[bytes]:
    """Frames of some 256 KiB with these events; none for none."""
    rows: list[Any] = []
    size = 0
    for event in events:
        rows.append(msgspec.structs.astuple(event))
        size += len(event.payload) + len(event.metadata) + len(event.stream) + 100
        if size >= _FILL_BYTES:
            yield frame(Batch(durable, rows))
            rows, size = [], 0
    if rows:
        yield frame(Batch(durable, rows))


def events_of(batch: Batch) -> list[RecordedEvent]:
    """Its events."""
    return [RecordedEvent(*row) for row in batch.events]
