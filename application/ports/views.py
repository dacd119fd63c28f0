"""The read side: views derived from the log, kept by the projector, read by everybody else.

Rows are what a client may see of a conversation and its messages; times are microseconds since
1970 UTC. The views may be behind the log; `Views.wait_for` lets a reader see its own writes.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from application.ports.refund_views import RefundViews
from domain.actors import Role, Scope
from domain.conversation.conversation import Status
from domain.conversation.events import Priority
from domain.message.events import Author

T = TypeVar("T")


class MessageRow(msgspec.Struct, frozen=True):
    """One message as it stands."""

    message_id: str
    conversation_id: str
    seq: int
    author: Author
    content: str
    """Empty when it was recalled."""
    private: bool
    created_at_us: int
    position: int
    """Of its `message.sent` event."""
    edited_at_us: int | None = None
    recalled_at_us: int | None = None


class ContactSummary(msgspec.Struct, frozen=True):
    """The person of a conversation, as the list shows it."""

    id: str
    name: str | None
    email: str | None
    identifier: str | None
    verified: bool
    """The person's identity was proved at least once; see also `identity_verified`."""


class ConversationRow(msgspec.Struct, frozen=True):
    """One conversation as it stands."""

    id: str
    status: Status
    assignee_id: str | None
    contact: ContactSummary
    last_seq: int
    last_message: MessageRow | None
    """May be a private note."""
    last_public_message: MessageRow | None
    """What its visitor may see."""
    created_at_us: int
    updated_at_us: int
    """Of the last event that changed it, cursors aside."""
    priority: Priority | None
    labels: tuple[str, ...]
    snoozed_until_us: int | None
    identity_verified: bool
    """The visitor proved who it is when this conversation began."""
    unread_count: int
    """Visitor's messages after the furthest read cursor of any agent."""
    agent_read_seq: int
    visitor_read_seq: int
    visitor_delivered_seq: int
    legal_hold: str | None = None
    """Why its contact can't be erased; None: it can."""
    legal_hold_at_us: int | None = None


class ContactRow(msgspec.Struct, frozen=True):
    """One contact as it stands."""

    id: str
    identifier: str | None
    name: str | None
    email: str | None
    verified: bool
    created_at_us: int
    updated_at_us: int
    erased_at_us: int | None = None
    """Nothing personal is known of it since then."""


class AgentRow(msgspec.Struct, frozen=True):
    """One agent as it stands."""

    id: str
    email: str
    name: str
    role: Role
    active: bool
    created_at_us: int


class ApiKeyRow(msgspec.Struct, frozen=True):
    """One API key as it stands; the secret is nowhere."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at_us: int
    revoked_at_us: int | None


class ConversationFilter(msgspec.Struct, frozen=True):
    """Which conversations to list; None: no matter."""

    status: Status | None = None
    assignee: str | None = None
    """An agent's id, or `none`: nobody."""
    label: str | None = None
    q: str | None = None
    """Words in messages, or in the contact's name, email or identifier."""


class Projection(msgspec.Struct, frozen=True):
    """What the views made of an event."""

    position: int
    """Of the last event that they hold."""
    committed_us: int | None = None
    """When the batch with this event was written, by the database's clock; None: the views were
    not there yet, or that is too long ago to be kept."""
    parked: str | None = None
    """The error with which the event was parked."""


class WantedPage(NamedTuple):
    """The messages of a conversation that a reader has not seen."""

    conversation_id: str
    after_seq: int
    include_private: bool


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list."""

    data: list[T]
    after_cursor: str | None
    """Opaque; None: this was the last page."""


class Views(RefundViews, Protocol):
    """The views; every method raises `Unavailable` while their database does not answer."""

    async def list_conversations(
        self, filter: ConversationFilter, limit: int, cursor: str | None
    ) -> Page[ConversationRow]:
        """Newest activity first.

        Raises:
            InvalidInput: the cursor is none of ours.
        """
        ...

    async def conversation(self, id: str) -> ConversationRow | None:
        """One conversation; None: there is none."""
        ...

    async def conversations(self, ids: list[str]) -> list[ConversationRow]:
        """Those of the conversations that exist, in any order."""
        ...

    async def messages(
        self,
        conversation_id: str,
        *,
        after_seq: int | None = None,
        before_seq: int | None = None,
        limit: int,
        include_private: bool,
    ) -> list[MessageRow]:
        """Messages in ascending `seq`.

        Args:
            after_seq: the first `limit` after it.
            before_seq: the last `limit` before it; with neither: the first `limit` of all.
        """
        ...

    async def message_pages(
        self, wanted: Sequence[WantedPage], limit: int
    ) -> list[list[MessageRow]]:
        """For each of those wanted, in their order: its first `limit` messages, in ascending `seq`;
        none where there is no such conversation.
        """
        ...

    async def contacts(self, q: str | None, limit: int, cursor: str | None) -> Page[ContactRow]:
        """Newest first; `q` is searched in name, email and identifier."""
        ...

    async def contact(self, id: str) -> ContactRow | None:
        """One contact; None: there is none."""
        ...

    async def agents(self) -> list[AgentRow]:
        """All agents, by name."""
        ...

    async def agent(self, id: str) -> AgentRow | None:
        """One agent; None: there is none."""
        ...

    async def api_keys(self) -> list[ApiKeyRow]:
        """All API keys, newest first."""
        ...

    async def position(self) -> int:
        """Position of the last event that the views hold."""
        ...

    async def projection_of(self, position: int) -> Projection:
        """What the views made of the event at a position."""
        ...

    async def wait_for(self, position: int, timeout_s: float) -> None:
        """Return when the views hold this position.

        Raises:
            Unavailable: they do not within the time.
        """
        ...

    async def snoozed_due(self, now_us: int, limit: int) -> list[str]:
        """Ids of snoozed conversations whose time has come."""
        ...
