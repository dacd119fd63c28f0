"""An event as `kefu log export --sealed` prints it, beside what a receipt proves of it."""

from datetime import datetime
from hashlib import sha256

import msgspec

from infrastructure.transparency.errors import BadReceipt
from infrastructure.transparency.leaves import Leaf


class _Exported(msgspec.Struct, frozen=True):
    """A line of `kefu log export --sealed`; both texts byte for byte as stored."""

    position: int
    stream: str
    version: int
    type: str
    time: datetime
    metadata: msgspec.Raw
    payload: msgspec.Raw


def require_event(leaf: Leaf, line: bytes) -> None:
    """The event is the one that was proven.

    Raises:
        BadReceipt: it is another one, or a part of it was changed; says which.
    """
    try:
        event = msgspec.json.decode(line, type=_Exported)
    except msgspec.MsgspecError as error:
        raise BadReceipt(
            f"the event is not a line of `kefu log export --sealed`: {error}"
        ) from None
    moment = event.time - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    recorded_us = (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds
    # An event without metadata is exported with an empty object.
    metadata = bytes(event.metadata) if leaf.metadata_bytes else b""
    for what, same in (
        ("position", event.position == leaf.position),
        ("stream", event.stream == leaf.stream),
        ("version", event.version == leaf.version),
        ("type", event.type == leaf.type),
        ("time", recorded_us == leaf.recorded_us),
        ("metadata", sha256(metadata).digest() == leaf.metadata_sha256),
        ("payload", sha256(bytes(event.payload)).digest() == leaf.payload_sha256),
    ):
        if not same:
            raise BadReceipt(f"the event's {what} is not what the receipt proves")
