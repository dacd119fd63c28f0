"""Processor time of sealing a message's personal fields, and of opening them, beside none of it.

One message of 120 characters, encoded for the log and decoded from it, in clear and sealed in turn;
the key is known, as it is for all but a contact's first message. Processor time, not wall time.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from application import codec
from application.codec import Metadata, encode_metadata
from application.ports.event_store import NewEvent, RecordedEvent
from application.sealing import Opener, Sealer
from benchmarks.report import hardware, parser, show
from domain.actors import ActorKind
from domain.message.events import Author, MessageSent
from infrastructure.keys.master import FileSource
from infrastructure.keys.store import SubjectKeyStore

CONTENT_CHARS = 120
_BATCH = 2_000
_STREAM = "message-b2a4e9a0-7f3c-8a51-9d3e-0123456789ab"
_CONTACT = "0192f3a4-aaaa-7000-8000-000000000001"


def _event() -> MessageSent:
    author = Author(ActorKind.VISITOR, _CONTACT, "李雷")
    content = "x" * CONTENT_CHARS
    conversation = "0192f3a4-5b6c-7d8e-9f00-112233445566"
    return MessageSent(conversation, 7, author, content, False, "7f3c-1")


def _measure(seconds: float, works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Best microseconds of processor time a call, the works in turn."""
    best = dict.fromkeys(works, float("inf"))
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for name, work in works.items():
            started = time.process_time()
            for _ in range(_BATCH):
                work()
            best[name] = min(best[name], (time.process_time() - started) / _BATCH * 1e6)
    return best


def main() -> None:
    options = parser(__doc__, 5.0).parse_args()
    event = _event()
    metadata = encode_metadata(Metadata(ActorKind.VISITOR, _CONTACT, "01e4c7f0"))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "keys"
        keys = SubjectKeyStore(directory, FileSource(directory / "master.key"))
        sealer, opener = Sealer(keys), Opener(keys)
        keys.of_subject(_CONTACT)
        keys.save()

        def seal() -> NewEvent:
            return sealer.encode(event, metadata, _STREAM, 0, _CONTACT)

        clear, sealed = codec.encode(event, metadata), seal()
        stored = [
            RecordedEvent(1, _STREAM, 0, new.type, 0, new.metadata, new.payload)
            for new in (clear, sealed)
        ]
        found = _measure(
            options.seconds,
            {
                "encode_clear_us": lambda: codec.encode(event, metadata),
                "encode_sealed_us": seal,
                "decode_clear_us": lambda: opener.decode(stored[0]),
                "decode_sealed_us": lambda: opener.decode(stored[1]),
            },
        )
        keys.close()
    result = {
        **{name: round(value, 2) for name, value in found.items()},
        "event_clear_bytes": len(clear.payload) + len(clear.metadata),
        "event_sealed_bytes": len(sealed.payload) + len(sealed.metadata),
        "content_chars": CONTENT_CHARS,
        "hardware": hardware(),
    }
    show("sealing a message", result, as_json=options.json)


if __name__ == "__main__":
    main()
