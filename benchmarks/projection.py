"""Events a second from the log's files into the views in Postgres.

The log is filled first, not timed: conversations, each message as `conversation.message_accepted`
and `message.sent`, a third of them Chinese, with a read cursor now and then. No two messages say
the same: words and characters are drawn as often as language uses them (Zipf), because a search
index is cheap only for text that repeats itself. Then the real runner brings empty views up to
date, search vectors included. `--sealed` has personal fields sealed, as the core writes them;
`--batch-events 500` makes it what a projector is that keeps up with a busy core: each batch then
changes as many conversations as it has messages.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

from application import codec
from application.ports.event_store import NO_STREAM, StreamAppend
from application.projections.runner import BATCH_EVENTS, ProjectionRunner
from application.sealing import IN_CLEAR, Opener, Sealer
from benchmarks._load.processes import cpu_seconds
from benchmarks.report import hardware, parser, show
from domain.actors import ActorKind
from domain.contact.events import ContactCreated
from domain.conversation.events import ConversationOpened, MessageAccepted, ReadCursorMoved
from domain.events import Event
from domain.message.events import Author, MessageSent
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.keys.master import FileSource
from infrastructure.keys.store import SubjectKeyStore
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


def _fill(log: EventLog, messages: int, keys: SubjectKeyStore | None) -> None:
    sealer = None if keys is None else Sealer(keys)

    def stream(name: str, version: int, *events: Event, contact: str = "") -> StreamAppend:
        new = [
            codec.encode(event, METADATA)
            if sealer is None
            else sealer.encode(event, METADATA, name, version + at, contact)
            for at, event in enumerate(events, 1)
        ]
        return StreamAppend(name, version, new)

    log.append_sync(
        [
            [
                stream(
                    f"contact-p{n}",
                    NO_STREAM,
                    ContactCreated(None, f"Visitor {n}", None),
                    contact=f"p{n}",
                ),
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
                stream(f"message-{id}", NO_STREAM, sent, contact=f"p{n}"),
            ]
        )
        versions[n] += len(events)
        if len(batches) == 2_000:
            log.append_sync(batches)
            batches = []
    log.append_sync(batches) if batches else None


@contextmanager
def _keys(folder: Path, sealed: bool) -> Iterator[SubjectKeyStore | None]:
    if not sealed:
        yield None
        return
    keys = SubjectKeyStore(folder / "keys", FileSource(folder / "keys" / "master.key"))
    try:
        yield keys
    finally:
        keys.close()


def _measure(folder: Path, seconds: float, sealed: bool, batch_events: int) -> dict[str, object]:
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        with _keys(folder, sealed) as keys:
            with EventLog.open(folder / "log") as log:
                _fill(log, int(seconds * 15_000), keys)
                if keys is not None:
                    keys.save()
            feed = LogReader(folder / "log")
            store = PostgresProjectionStore(server.url)
            opener = IN_CLEAR if keys is None else Opener(keys)
            runner = ProjectionRunner(feed, store, batch_events=batch_events, opener=opener)
            store.position()
            end = feed.durable_position()
            assert server.pid is not None
            postgres = cpu_seconds([server.pid])["postgres"]
            used, started = time.process_time(), time.perf_counter()
            runner.catch_up(end)
            used = time.process_time() - used
            postgres = cpu_seconds([server.pid])["postgres"] - postgres
            store.close()  # which waits for the search index
            elapsed = time.perf_counter() - started
            feed.close()
    finally:
        server.stop()
    return {
        "events_per_s": round(end / elapsed),
        "events": end,
        "seconds": round(elapsed, 2),
        "cpu_us_per_event": round(used / end * 1e6, 1),
        "postgres_cpu_us_per_event": round(postgres / end * 1e6, 1),
        "sealed": sealed,
        "parked": runner.stats.parked,
        "batch_events": round(end / max(1, runner.stats.batches)),
        "fsync_policy": "views: synchronous_commit=off (they can be rebuilt); log: every commit",
        "hardware": hardware(),
    }


def main() -> None:
    """Measure and print."""
    given = parser(__doc__ or "", 10.0)
    given.add_argument("--sealed", action="store_true", help="personal fields are sealed")
    given.add_argument("--batch-events", type=int, default=BATCH_EVENTS)
    options = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        result = _measure(Path(folder), options.seconds, options.sealed, options.batch_events)
    show("projection", result, as_json=options.json)


if __name__ == "__main__":
    main()
