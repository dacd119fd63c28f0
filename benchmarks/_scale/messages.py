"""The events that kefu writes for messages, made cheaply and found again without keeping them.

Event 2p + 1 goes to one of 100,000 conversations, event 2p + 2 begins the stream of a message
whose name has 44 characters and looks random. A pair is one batch, as in the command path.
"""

import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from application.ports.event_store import ANY_VERSION, NO_STREAM, NewEvent, StreamAppend

CONVERSATIONS: Final = 100_000
CHUNK_PAIRS: Final = 1_000
_STRIDE: Final = 61_927  # coprime to CONVERSATIONS: neighbouring pairs are in distant streams
_NAME_HEX: Final = 36


class Place(NamedTuple):
    """Where an event is."""

    position: int
    stream: str
    version: int


@lru_cache(maxsize=8)
def _message_names(chunk: int) -> list[str]:
    digits = random.Random(chunk).randbytes(_NAME_HEX // 2 * CHUNK_PAIRS).hex()
    return [f"message-{digits[at : at + _NAME_HEX]}" for at in range(0, len(digits), _NAME_HEX)]


def _conversation(pair: int) -> str:
    return f"conversation-{pair * _STRIDE % CONVERSATIONS:08d}"


def place(position: int) -> Place:
    """Stream and version of the event at a position."""
    pair, second = divmod(position - 1, 2)
    if second:
        chunk, number = divmod(pair, CHUNK_PAIRS)
        return Place(position, _message_names(chunk)[number], 0)
    return Place(position, _conversation(pair), pair // CONVERSATIONS)


def chunks(after: int, upto: int, event_bytes: int) -> Iterator[list[list[StreamAppend]]]:
    """Batches with the events `after < position <= upto`, in lists of at most 2,000 events.

    Args:
        after: Even.
        upto: Even.
        event_bytes: Payload of each event.
    """
    payload = b"x" * event_bytes
    accepted = [NewEvent("conversation.message_accepted.v1", payload, b"")]
    sent = [NewEvent("message.sent.v1", payload, b"")]
    pair = after // 2
    while pair < upto // 2:
        chunk, first = divmod(pair, CHUNK_PAIRS)
        last = min(CHUNK_PAIRS, first + upto // 2 - pair)
        yield [
            [
                StreamAppend(_conversation(pair + number), ANY_VERSION, accepted),
                StreamAppend(name, NO_STREAM, sent),
            ]
            for number, name in enumerate(_message_names(chunk)[first:last])
        ]
        pair += last - first
