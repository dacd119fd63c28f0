"""Rows of the read models while a batch is folded, and what a batch changes."""

from dataclasses import dataclass, field

import msgspec

from domain.refund.events import POLICY, RefundLine
from domain.saga.state import Saga


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


class RefundRecord(msgspec.Struct):
    """A row of `refunds`."""

    id: str
    status: str
    conversation_id: str
    contact_id: str
    order_reference: str
    amount_minor: int
    currency: str
    reason: str
    """Empty once its contact was erased."""
    lines: tuple[RefundLine, ...]
    evidence: list[str]
    requested_by: str
    created_us: int
    updated_us: int
    position: int
    """Of its last event."""
    decided_by: str | None = None
    rule: str | None = None
    rejection_code: str | None = None
    rejection_reason: str | None = None
    reference: str | None = None
    failure: str | None = None
    given_up: list[str] = []

    def forget(self) -> None:
        """Its contact was erased: nothing that a person wrote is kept."""
        self.reason = ""
        if self.rejection_reason is not None and self.decided_by != POLICY:
            self.rejection_reason = ""


class RefundPolicyRecord(msgspec.Struct):
    """A row of `refund_policies`."""

    currency: str
    automatic_up_to_minor: int
    four_eyes_above_minor: int
    agent_daily_minor: int | None
    updated_us: int


class SagaRecord(msgspec.Struct):
    """A row of `sagas`; what lists filter by is derived from the state when it is written."""

    state: Saga
    started_us: int
    updated_us: int


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
    refunds: dict[str, RefundRecord] = field(default_factory=dict)
    refund_policies: dict[str, RefundPolicyRecord] = field(default_factory=dict)
    sagas: dict[str, SagaRecord] = field(default_factory=dict)


@dataclass
class Keys:
    """Which rows the events of a batch may change."""

    conversations: set[str] = field(default_factory=set)
    messages: set[MessageKey] = field(default_factory=set)
    contacts: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    api_keys: set[str] = field(default_factory=set)
    refunds: set[str] = field(default_factory=set)
    sagas: set[str] = field(default_factory=set)


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
    content and no visitor's name is kept, and of their refunds no reason. Done last, after all
    rows are written."""
    parked: list[ParkedEvent] = field(default_factory=list)
