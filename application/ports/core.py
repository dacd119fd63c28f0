"""The core process as the other roles see it: commands, and queries over the log's own state."""

from typing import Any, Protocol

import msgspec

from application.commands import (
    access,
    agent,
    audit,
    cancellation,
    contact,
    conversation,
    message,
    order,
    privacy,
    refund,
    saga,
)
from application.queries.core import CoreQuery
from domain.actors import Actor

Command = (
    message.SendMessage
    | message.EditMessage
    | message.RecallMessage
    | conversation.AssignConversation
    | conversation.ChangeStatus
    | conversation.WakeConversation
    | conversation.PrioritiseConversation
    | conversation.LabelConversation
    | conversation.MoveReadCursor
    | conversation.MoveDeliveryCursor
    | contact.UpdateContact
    | privacy.EraseContact
    | privacy.PlaceLegalHold
    | privacy.LiftLegalHold
    | agent.RegisterAgent
    | agent.SetPassword
    | agent.ChangeAgent
    | access.StartVisitorSession
    | access.StartAgentSession
    | access.EndSession
    | access.IssueApiKey
    | access.RevokeApiKey
    | audit.RecordRead
    | order.RegisterOrder
    | refund.RequestRefund
    | refund.ApproveRefund
    | refund.RejectRefund
    | refund.SetRefundPolicy
    | cancellation.CancelOrder
    | saga.ReportOutcome
    | saga.FireTimer
    | saga.OperateSaga
)


class Idempotency(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An Idempotency-Key and the fingerprint of the request that it stands for."""

    key: str
    fingerprint: str
    """SHA-256 over method, path and body, in hex."""


class Request(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A command with who sends it."""

    command: Command
    actor: Actor
    correlation_id: str
    idempotency: Idempotency | None = None
    traceparent: str | None = None


class Receipt(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a command came to; its events are on disk."""

    position: int
    """Of the last event that the command wrote; for a repeat, that of the first time."""
    result: dict[str, Any]
    """The command's answer: ids and numbers, named in the command's docstring."""


class Core(Protocol):
    """Commands and queries, in the same process or over a socket."""

    async def execute(self, request: Request) -> Receipt:
        """Decide, append, and return when the events are on disk.

        Raises:
            DomainError: a rule said no; nothing was written.
            Busy: the queue is full; try again.
            Unavailable: the core is not reachable or went away before it answered. The command
                may or may not have been executed: send it again with the same ref or key.
            StoreReadOnly: the log takes no events at the moment.
        """
        ...

    async def query(self, query: CoreQuery) -> Any:
        """Answer from the log's own state, with no view between; see `application.queries.core`.

        Raises:
            DomainError, Busy, Unavailable.
        """
        ...
