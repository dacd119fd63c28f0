"""All streams of one conversation in memory, to look at it more than once."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from application.ports.event_store import RecordedEvent
from application.queries.life import open_step
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain.contact import contact as contacts
from domain.conversation import conversation as conversations
from domain.conversation.events import ConversationOpened, MessageAccepted
from domain.errors import ConversationNotFound
from domain.message import message as messages


class GatheredStreams:
    """`StreamReader`, and the past of a store, over what was gathered; asks on for the rest."""

    def __init__(self, streams: StreamReader, found: dict[str, list[RecordedEvent]]) -> None:
        self._streams = streams
        self._found = found

    def read_stream(
        self,
        stream: str,
        after_version: int = -1,
        limit: int | None = None,
        up_to_position: int | None = None,
    ) -> list[RecordedEvent]:
        """As `EventStore.read_stream`."""
        found = [
            event
            for event in self._found.get(stream, [])
            if event.version > after_version
            and (up_to_position is None or event.position <= up_to_position)
        ]
        return found[:limit]

    async def events(
        self, streams: Sequence[str], up_to: int | None = None
    ) -> AsyncIterator[RecordedEvent]:
        """As `StreamReader.events`."""
        for stream in streams:
            for event in self.read_stream(stream, up_to_position=up_to):
                yield event
        unknown = [stream for stream in streams if stream not in self._found]
        if unknown:
            async for event in self._streams.events(unknown, up_to):
                yield event


async def gather(
    streams: StreamReader, opener: Opener, conversation_id: str, up_to: int
) -> GatheredStreams:
    """Read a conversation, its messages and its contact up to a position, each stream once.

    Raises:
        ConversationNotFound: it did not exist then.
    """
    own = conversations.DECIDER.stream(conversation_id)
    found: dict[str, list[RecordedEvent]] = defaultdict(list)
    others: list[str] = []
    async for recorded in streams.events([own], up_to):
        found[own].append(recorded)
        match open_step(opener, recorded).event:
            case ConversationOpened(contact_id=contact_id):
                others.append(contacts.DECIDER.stream(contact_id))
            case MessageAccepted(message_id=message_id):
                others.append(messages.DECIDER.stream(message_id))
    if not found:
        raise ConversationNotFound(conversation_id)
    found.update((stream, []) for stream in others)
    async for recorded in streams.events(others, up_to):
        found[recorded.stream].append(recorded)
    return GatheredStreams(streams, dict(found))
