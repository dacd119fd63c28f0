"""Events a second from the log's files into the views in Postgres.

The log is filled first, not timed: conversations, each message as `conversation.message_accepted`
and `message.sent`, a third of them Chinese, with a read cursor now and then. No two messages say
the same: words and characters are drawn as often as language uses them (Zipf), because a search
index is cheap only for text that repeats itself. Then the real runner brings empty views up to
date, search vectors included.
"""

import random
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from application import codec
from application.ports.event_store import NO_STREAM, StreamAppend
from application.projections.runner import ProjectionRunner
from benchmarks.report import hardware, parser, show
from domain.actors import ActorKind
from domain.contact.events import ContactCreated
from domain.conversation.events import ConversationOpened, MessageAccepted, ReadCursorMoved
from domain.events import Event
from domain.message.events import Author, MessageSent
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.postgres.embedded import EmbeddedPostgres
from infrastructure.postgres.projection_store import PostgresProjectionStore

CONVERSATIONS = 2_000
ENGLISH_WORDS = 20_000
CHINESE_CHARACTERS = 3_500
WORDS_A_MESSAGE = 15
CHARACTERS_A_MESSAGE = 32
METADATA = codec.encode_metadata(codec.Metadata(ActorKind.VISITOR, "contact", "benchmark"))


class _Writer:
    """Text that has the vocabulary of a language and no meaning; the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        letters = "etaoinshrdlucmfwypvbgk"
        lengths = [self._random.randint(2, 9) for _ in range(ENGLISH_WORDS)]
        self._words = ["".join(self._random.choices(letters, k=length)) for length in lengths]
        self._characters = [chr(0x4E00 + 5 * n) for n in range(CHINESE_CHARACTERS)]
        self._word_weights = list(accumulate(1 / (n + 10) for n in range(ENGLISH_WORDS)))
        self._weights = list(accumulate(1 / (n + 20) for n in range(CHINESE_CHARACTERS)))

    def message(self, chinese: bool) -> str:
        choices = self._random.choices
        if chinese:
            return "".join(
                choices(self._characters, cum_weights=self._weights, k=CHARACTERS_A_MESSAGE)
            )
        return " ".join(choices(self._words, cum_weights=self._word_weights, k=WORDS_A_MESSAGE))


def _fill(log: EventLog, messages: int) -> None:
    def stream(name: str, version: int, *events: Event) -> StreamAppend:
        return StreamAppend(name, version, [codec.encode(event, METADATA) for event in events])

    log.append_sync(
        [
            [
                stream(f"contact-p{n}", NO_STREAM, ContactCreated(None, f"Visitor {n}", None)),
                stream(f"conversation-c{n}", NO_STREAM, ConversationOpened(f"p{n}", "web", False)),
            ]
            for n in range(CONVERSATIONS)
        ]
    )
    versions = [0] * CONVERSATIONS
    writer = _Writer()
    batches: list[list[StreamAppend]] = []
    for number in range(messages):
        n = number % CONVERSATIONS
        seq = number // CONVERSATIONS + 1
        id = f"m{number}"
        events: list[Event] = [MessageAccepted(seq, id, ActorKind.VISITOR, False)]
        if number % 20 == 0:
            events.append(ReadCursorMoved(ActorKind.AGENT, "agent", seq))
        author = Author(ActorKind.VISITOR, f"p{n}", f"Visitor {n}")
        sent = MessageSent(f"c{n}", seq, author, writer.message(number % 3 == 1), False, id)
        batches.append(
            [
                stream(f"conversation-c{n}", versions[n], *events),
                stream(f"message-{id}", NO_STREAM, sent),
            ]
        )
        versions[n] += len(events)
        if len(batches) == 2_000:
            log.append_sync(batches)
            batches = []
    log.append_sync(batches) if batches else None


def _measure(folder: Path, seconds: float) -> dict[str, object]:
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        with EventLog.open(folder / "log") as log:
            _fill(log, int(seconds * 15_000))
        feed = LogReader(folder / "log")
        store = PostgresProjectionStore(server.url)
        runner = ProjectionRunner(feed, store)
        store.position()
        end = feed.durable_position()
        started = time.perf_counter()
        runner.catch_up(end)
        store.close()  # which waits for the search index
        elapsed = time.perf_counter() - started
        feed.close()
    finally:
        server.stop()
    return {
        "events_per_s": round(end / elapsed),
        "events": end,
        "seconds": round(elapsed, 2),
        "parked": runner.stats.parked,
        "batch_events": round(end / max(1, runner.stats.batches)),
        "fsync_policy": "views: synchronous_commit=off (they can be rebuilt); log: every commit",
        "hardware": hardware(),
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", 10.0).parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        result = _measure(Path(folder), options.seconds)
    show("projection", result, as_json=options.json)


if __name__ == "__main__":
    main()
