"""Rows of the read models while a batch is folded, and what a batch changes."""

from dataclasses import dataclass, field

import msgspec


class ConversationRecord(msgspec.Struct):
    """A row of `conversations`; times are microseconds since 1970 UTC."""

    id: str
    contact_id: str
    identity_verified: bool
    created_us: int
    updated_us: int
    status: str = "open"
    assignee_id: str | None = None
    priority: str | None = None
    labels: list[str] = []
    snoozed_until_us: int | None = None
    last_seq: int = 0
    last_public_seq: int = 0
    unread_count: int = 0
    agent_read_seq: int = 0
    visitor_read_seq: int = 0
    visitor_delivered_seq: int = 0
    legal_hold: str | None = None
    legal_hold_us: int | None = None


class MessageRecord(msgspec.Struct, gc=False):
    """A row of `messages`; there are many, and none is in a cycle."""

    conversation_id: str
    seq: int
    message_id: str
    author_kind: str
    author_id: str
    author_name: str
    content: str
    private: bool
    created_us: int
    position: int
    edited_us: int | None = None
    recalled_us: int | None = None


class ContactRecord(msgspec.Struct):
    """A row of `contacts`."""

    id: str
    identifier: str | None
    name: str | None
    email: str | None
    created_us: int
    updated_us: int
    verified: bool = False
    erased_us: int | None = None


class AgentRecord(msgspec.Struct):
    """A row of `agents`."""

    id: str
    email: str
    name: str
    role: str
    created_us: int
    active: bool = True


class ApiKeyRecord(msgspec.Struct):
    """A row of `api_keys`."""

    id: str
    name: str
    scopes: list[str]
    created_us: int
    revoked_us: int | None = None


class ParkedEvent(msgspec.Struct, frozen=True):
    """An event that a read model could not take, kept with the reason."""

    position: int
    stream: str
    type: str
    error: str


MessageKey = tuple[str, int]
"""Conversation and seq."""


@dataclass
class Records:
    """Rows by key: those that were there before a batch, then those that it changes."""

    conversations: dict[str, ConversationRecord] = field(default_factory=dict)
    messages: dict[MessageKey, MessageRecord] = field(default_factory=dict)
    contacts: dict[str, ContactRecord] = field(default_factory=dict)
    agents: dict[str, AgentRecord] = field(default_factory=dict)
    api_keys: dict[str, ApiKeyRecord] = field(default_factory=dict)


@dataclass
class Keys:
    """Which rows the events of a batch may change."""

    conversations: set[str] = field(default_factory=set)
    messages: set[MessageKey] = field(default_factory=set)
    contacts: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    api_keys: set[str] = field(default_factory=set)


@dataclass
class Changes:
    """What a batch writes, in one transaction with its tracking row."""

    records: Records = field(default_factory=Records)
    """Changed rows, whole."""
    new_messages: set[MessageKey] = field(default_factory=set)
    """Messages that were not there before."""
    recount_unread: set[str] = field(default_factory=set)
    """Conversations whose unread messages must be counted anew."""
    unsent: set[MessageKey] = field(default_factory=set)
    """Visitors' messages accepted in this batch and sent in the next one: unread all the same."""
    forget: set[str] = field(default_factory=set)
    """Conversations of erased contacts: of their messages, also those that were there before, no
    content and no visitor's name is kept. Done last, after all rows are written."""
    parked: list[ParkedEvent] = field(default_factory=list)
