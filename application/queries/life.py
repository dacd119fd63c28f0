"""The life of a conversation: its own events, its messages' and its contact's, in order."""

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from application import codec
from application.codec import Metadata, UndecodableEvent, UnknownEventType
from application.ports.event_store import RecordedEvent
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain.access.events import TokenIssued
from domain.actors import SYSTEM, ActorKind
from domain.agent import agent as agents
from domain.agent.events import AgentRegistered, AgentRenamed
from domain.contact import contact as contacts
from domain.contact.events import ContactCreated, ContactUpdated
from domain.conversation import conversation as conversations
from domain.conversation.events import (
    ConversationAssigned,
    ConversationOpened,
    ConversationUnassigned,
    MessageAccepted,
)
from domain.errors import ConversationNotFound
from domain.events import Event
from domain.message import message as messages

_TOKEN: Final = "token"


class LifeEvent(NamedTuple):
    """One step of a life."""

    recorded: RecordedEvent
    metadata: Metadata
    event: Event | None
    """None: it can't be read; `unreadable` says why."""
    unreadable: str | None
    actor_name: str | None
    """As it was then; None: not known."""
    agent_name: str | None
    """Of the agent whom the event is about, as it was then."""


class LifePage(NamedTuple):
    """Part of a life."""

    events: list[LifeEvent]
    more: bool


class Step(NamedTuple):
    """An event, opened; its people have no names yet."""

    position: int
    recorded: RecordedEvent
    event: Event | None
    unreadable: str | None


async def life(
    streams: StreamReader,
    opener: Opener,
    conversation_id: str,
    *,
    after: int = 0,
    limit: int,
    up_to: int | None = None,
    also: Sequence[str] = (),
) -> LifePage:
    """The first `limit` events with a position over `after`, and at most `up_to`.

    Holds a page in memory, however long the life is.

    Args:
        also: Streams of what else belongs to it, as its refunds.

    Raises:
        ConversationNotFound: it did not exist by then.
    """
    steps: list[Step] = []
    message_ids: list[str] = []
    contact_id: str | None = None
    async for recorded in streams.events([_conversation(conversation_id)], up_to):
        step = open_step(opener, recorded)
        match step.event:
            case ConversationOpened():
                contact_id = step.event.contact_id
            case MessageAccepted():
                message_ids.append(step.event.message_id)
        if step.position > after:
            steps.append(step)
        if len(steps) > limit:
            break  # a message that is accepted later has nothing on this page
    if not steps and contact_id is None:
        raise ConversationNotFound(conversation_id)
    others = [*(messages.DECIDER.stream(id) for id in message_ids), *also]
    if contact_id is not None:
        others.append(contacts.DECIDER.stream(contact_id))
    async for recorded in streams.events(others, up_to):
        if recorded.position > after:
            steps.append(open_step(opener, recorded))
            if len(steps) > 8 * (limit + 1):
                steps = heapq.nsmallest(limit + 1, steps, key=_position)
    page = heapq.nsmallest(limit + 1, steps, key=_position)
    return LifePage(await named(streams, opener, page[:limit]), len(page) > limit)


def open_step(opener: Opener, recorded: RecordedEvent) -> Step:
    """Decode one event; what can't be read is shown as it is stored."""
    try:
        return Step(recorded.position, recorded, opener.open_envelope(recorded).event, None)
    except (UnknownEventType, UndecodableEvent) as error:
        return Step(recorded.position, recorded, None, error.detail)


class Names:
    """What people were called at a position."""

    def __init__(self) -> None:
        self._by_stream: dict[str, tuple[list[int], list[str]]] = {}

    async def load(self, streams: StreamReader, opener: Opener, who: Sequence[str]) -> None:
        """Read the streams of people (agents, contacts, API keys)."""
        async for recorded in streams.events(sorted(set(who))):
            event = open_step(opener, recorded).event
            if isinstance(
                event,
                AgentRegistered | AgentRenamed | ContactCreated | ContactUpdated | TokenIssued,
            ):
                positions, names = self._by_stream.setdefault(recorded.stream, ([], []))
                positions.append(recorded.position)
                names.append(event.name or "")

    def at(self, stream: str | None, position: int) -> str | None:
        """The name then; None: nothing is known of it."""
        if stream is None:
            return None
        if stream == SYSTEM.name:
            return SYSTEM.name
        positions, names = self._by_stream.get(stream, ([], []))
        index = bisect_right(positions, position)
        return names[index - 1] or None if index else None


def stream_of(kind: ActorKind, id: str) -> str:
    """Where the name of somebody who acted can be found."""
    match kind:
        case ActorKind.AGENT:
            return agents.DECIDER.stream(id)
        case ActorKind.VISITOR:
            return contacts.DECIDER.stream(id)
        case ActorKind.API_KEY:
            return f"{_TOKEN}-{id}"
        case _:
            return SYSTEM.name


async def named(streams: StreamReader, opener: Opener, steps: list[Step]) -> list[LifeEvent]:
    """With the names that people had then."""
    found = [(step, codec.decode_metadata(step.recorded.metadata)) for step in steps]
    actors = [stream_of(metadata.actor_kind, metadata.actor_id) for _, metadata in found]
    about = [_agent_stream(step.event) for step in steps]
    names = Names()
    wanted = {*actors, *filter(None, about)} - {SYSTEM.name}
    await names.load(streams, opener, sorted(wanted))
    return [
        LifeEvent(
            step.recorded,
            metadata,
            step.event,
            step.unreadable,
            names.at(actor, step.position),
            names.at(agent, step.position),
        )
        for (step, metadata), actor, agent in zip(found, actors, about, strict=True)
    ]


def _agent_stream(event: Event | None) -> str | None:
    match event:
        case ConversationAssigned(assignee_id=id) | ConversationUnassigned(previous_assignee_id=id):
            return agents.DECIDER.stream(id)
    return None


def _conversation(id: str) -> str:
    return conversations.DECIDER.stream(id)


def _position(step: Step) -> int:
    return step.position
