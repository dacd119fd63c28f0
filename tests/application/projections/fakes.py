"""Fakes for projections: a feed and a store in memory, and the histories that fill a feed."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from application import codec
from application.ports.event_store import RecordedEvent
from application.ports.projection_store import BadRow
from application.projections.records import (
    Changes,
    Keys,
    ParkedEvent,
    Records,
)
from domain.access.events import TokenIssued, TokenRevoked
from domain.actors import ActorKind, Role, Scope
from domain.agent.events import AgentRegistered
from domain.contact.events import ContactCreated
from domain.conversation.events import ConversationOpened, MessageAccepted, ReadCursorMoved
from domain.errors import Conflict, Unavailable
from domain.events import Event
from domain.message.events import Author, MessageEdited, MessageRecalled, MessageSent

METADATA = codec.encode_metadata(codec.Metadata(ActorKind.SYSTEM, "test", "test"))
START_US = 1_700_000_000_000_000
POISON = "poison"

Happening = tuple[str, Event]
"""Name of a stream and what happened in it."""


class FakeFeed:
    """`EventFeed` in memory; each event a second after the one before."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []

    def append(self, happenings: Sequence[Happening]) -> None:
        for stream, event in happenings:
            new = codec.encode(event, METADATA)
            self.append_raw(stream, new.type, new.payload)

    def append_raw(self, stream: str, type: str, payload: bytes) -> None:
        position = len(self.events) + 1
        recorded_us = START_US + position * 1_000_000
        self.events.append(RecordedEvent(position, stream, 0, type, recorded_us, METADATA, payload))

    def read(self, after: int, limit: int) -> list[RecordedEvent]:
        return self.events[after : after + limit]

    def durable_position(self) -> int:
        return len(self.events)

    def wait(self, after: int, timeout_s: float) -> int:
        return self.durable_position()

    def fileno(self) -> int:
        raise NotImplementedError

    def drain(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        return


@dataclass
class FakeProjectionStore:
    """`ProjectionStore` in memory; content that holds `POISON` is data it can't store."""

    rows: Records = field(default_factory=Records)
    parked: list[ParkedEvent] = field(default_factory=list)
    at: int = 0
    commits: int = 0
    outages: int = 0
    """So many of the next commits find the database down."""
    lost_answers: int = 0
    """So many of the next commits are done, and the answer is lost."""

    def position(self) -> int:
        return self.at

    def load(self, keys: Keys) -> Records:
        if any(seq >= 2**31 for _, seq in keys.messages):
            raise BadRow("integer out of range")
        rows = self.rows
        return copy.deepcopy(
            Records(
                {id: row for id in keys.conversations if (row := rows.conversations.get(id))},
                {key: row for key in keys.messages if (row := rows.messages.get(key))},
                {id: row for id in keys.contacts if (row := rows.contacts.get(id))},
                {id: row for id in keys.agents if (row := rows.agents.get(id))},
                {id: row for id in keys.api_keys if (row := rows.api_keys.get(id))},
                {id: row for id in keys.refunds if (row := rows.refunds.get(id))},
                {},
                {id: row for id in keys.sagas if (row := rows.sagas.get(id))},
            )
        )

    def commit(self, changes: Changes, after: int, position: int) -> None:
        if self.outages:
            self.outages -= 1
            raise Unavailable("down")
        if after != self.at:
            raise Conflict("another projector")
        if any(POISON in row.content for row in changes.records.messages.values()):
            raise BadRow("poison")
        for table in vars(self.rows):
            getattr(self.rows, table).update(copy.deepcopy(getattr(changes.records, table)))
        for id in changes.recount_unread:
            self.rows.conversations[id].unread_count = self._unread(id, changes)
        for (conversation_id, _), row in self.rows.messages.items():
            if conversation_id in changes.forget:
                row.content = ""
                if row.author_kind == ActorKind.VISITOR:
                    row.author_name = ""
        for refund in self.rows.refunds.values():
            if refund.conversation_id in changes.forget:
                refund.forget()
        self.parked += changes.parked
        self.at = position
        self.commits += 1
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("the answer was lost")

    def _unread(self, id: str, changes: Changes) -> int:
        read = self.rows.conversations[id].agent_read_seq
        stored = {
            key for key, row in self.rows.messages.items() if row.author_kind == ActorKind.VISITOR
        }
        return sum(1 for owner, seq in stored | changes.unsent if owner == id and seq > read)


class History:
    """Small stories, written as the commands write them."""

    def __init__(self, append: Callable[[Sequence[Happening]], None]) -> None:
        self._append = append
        self._seqs: dict[str, int] = {}

    def happens(self, stream: str, event: Event) -> None:
        self._append([(stream, event)])

    def contact(
        self,
        id: str,
        name: str | None = None,
        email: str | None = None,
        identifier: str | None = None,
    ) -> None:
        self.happens(f"contact-{id}", ContactCreated(identifier, name, email))

    def conversation(self, id: str, contact: str = "p1", *, verified: bool = False) -> None:
        self.happens(f"conversation-{id}", ConversationOpened(contact, "web", verified))
        self._seqs[id] = 0

    def agent(self, id: str, name: str, role: Role = Role.AGENT) -> None:
        self.happens(f"agent-{id}", AgentRegistered(f"{id}@example.cn", name, role))

    def api_key(self, id: str, name: str, *scopes: Scope) -> None:
        issued = TokenIssued(ActorKind.API_KEY, id, name, None, scopes, None)
        self.happens(f"token-{id}", issued)

    def revoke(self, id: str) -> None:
        self.happens(f"token-{id}", TokenRevoked())

    def visitor_says(self, conversation: str, content: str) -> int:
        return self._say(conversation, Author(ActorKind.VISITOR, "p1", "李雷"), content)

    def agent_says(self, conversation: str, content: str, *, private: bool = False) -> int:
        author = Author(ActorKind.AGENT, "a1", "韩梅梅")
        return self._say(conversation, author, content, private=private)

    def edit(self, conversation: str, seq: int, content: str) -> None:
        event = MessageEdited(conversation, seq, content)
        self.happens(f"message-{conversation}-{seq}", event)

    def recall(self, conversation: str, seq: int) -> None:
        self.happens(f"message-{conversation}-{seq}", MessageRecalled(conversation, seq))

    def agent_reads(self, conversation: str, seq: int) -> None:
        event = ReadCursorMoved(ActorKind.AGENT, "a1", seq)
        self.happens(f"conversation-{conversation}", event)

    def _say(
        self, conversation: str, author: Author, content: str, *, private: bool = False
    ) -> int:
        seq = self._seqs[conversation] = self._seqs[conversation] + 1
        id = f"{conversation}-{seq}"
        self._append(
            [
                (f"conversation-{conversation}", MessageAccepted(seq, id, author.kind, private)),
                (
                    f"message-{id}",
                    MessageSent(conversation, seq, author, content, private, f"ref-{seq}"),
                ),
            ]
        )
        return seq
