"""Events a second from the log's files into the views in Postgres.

The log is filled first, not timed: conversations, each message as `conversation.message_accepted`
and `message.sent`, a third of them Chinese, with a read cursor now and then. Then the real runner
brings empty views up to date, search vectors included.
"""

import tempfile
import time
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
TEXTS = (
    "Hello, my order number 20231107 has not arrived yet, could you look where it is?",
    "您好，我上周买的外套尺码不对，想换大一号，请问需要自己寄回去吗？运费谁出？",
    "The tracking page says delivered, but nobody in the house has seen a parcel. Please help.",
)
METADATA = codec.encode_metadata(codec.Metadata(ActorKind.VISITOR, "contact", "benchmark"))


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
    batches: list[list[StreamAppend]] = []
    for number in range(messages):
        n = number % CONVERSATIONS
        seq = number // CONVERSATIONS + 1
        id = f"m{number}"
        events: list[Event] = [MessageAccepted(seq, id, ActorKind.VISITOR, False)]
        if number % 20 == 0:
            events.append(ReadCursorMoved(ActorKind.AGENT, "agent", seq))
        author = Author(ActorKind.VISITOR, f"p{n}", f"Visitor {n}")
        sent = MessageSent(f"c{n}", seq, author, TEXTS[number % 3], False, id)
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
        elapsed = time.perf_counter() - started
        store.close()
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
