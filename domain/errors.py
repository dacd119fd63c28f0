"""The tree of errors, each with a stable code that clients may rely on.

::

    KefuError
    ├── DomainError                 a rule says no; nothing was written
    │   ├── InvalidInput            the command's own data is bad
    │   │   ├── ContentEmpty
    │   │   ├── ContentTooLong
    │   │   └── ContentInvalid
    │   ├── NotFound
    │   │   ├── ConversationNotFound
    │   │   ├── MessageNotFound
    │   │   ├── ContactNotFound
    │   │   ├── ContactNotErased
    │   │   ├── AgentNotFound
    │   │   ├── ApiKeyNotFound
    │   │   ├── OrderNotFound
    │   │   ├── RefundNotFound
    │   │   ├── SagaNotFound
    │   │   ├── EventNotFound
    │   │   └── TileNotFound
    │   ├── Conflict                the state does not allow it
    │   │   ├── ConversationResolved
    │   │   ├── MessageAlreadyRecalled
    │   │   ├── RefReused
    │   │   ├── EmailTaken
    │   │   ├── AgentInactive
    │   │   ├── ContactErased
    │   │   ├── LegalHold
    │   │   ├── OrderKnown
    │   │   ├── OrderBalanceExceeded
    │   │   ├── OrderCancelled
    │   │   ├── RefundDecided
    │   │   ├── RefundLimitReached
    │   │   ├── SagaNotParked
    │   │   ├── SagaActionRefused
    │   │   └── OwnAccount
    │   ├── IdempotencyKeyReused
    │   ├── Unauthenticated
    │   │   ├── InvalidCredentials
    │   │   ├── TokenExpired
    │   │   └── CallbackRefused     (application.ports.participants)
    │   └── Forbidden
    │       └── SecondPersonNeeded
    └── InfrastructureError         the rule says yes, the machine says no
        ├── Busy                    a queue is full; try again
        ├── Unavailable             a part of the system is down; try again
        │   └── IndexRebuilding     (application.ports.event_store)
        ├── SagaDefinitionUnknown   (application.commands.saga)
        ├── WrongExpectedVersion    (application.ports.event_store)
        ├── StoreReadOnly           (application.ports.event_store)
        └── CorruptLog ...          (infrastructure.eventlog)

HTTP statuses live in `interfaces/problems.py` and nowhere else.
"""

from typing import ClassVar


class KefuError(Exception):
    """Root of all errors that kefu raises on purpose."""

    code: ClassVar[str] = "error"
    """Stable, kebab-case, the same over HTTP, WebSocket and the command socket."""

    @property
    def detail(self) -> str:
        """One sentence for a person, saying what to do; never a secret."""
        return str(self)


class DomainError(KefuError):
    """A rule of the business said no; nothing was written."""


class InfrastructureError(KefuError):
    """A machine failed, not a rule; the same command may succeed later."""


class Busy(InfrastructureError):
    """A bounded queue is full."""

    code = "busy"


class Unavailable(InfrastructureError):
    """A part of the system does not answer at the moment."""

    code = "unavailable"


class InvalidInput(DomainError):
    """The command's own data breaks a limit or a format."""

    code = "invalid-input"

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field


class ContentEmpty(InvalidInput):
    code = "content-empty"


class ContentTooLong(InvalidInput):
    code = "content-too-long"


class ContentInvalid(InvalidInput):
    code = "content-invalid"


class NotFound(DomainError):
    """The thing does not exist, or not for whoever asks."""

    code = "not-found"
    noun: ClassVar[str] = "object"

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no {self.noun} with the id {id!r}.")
        self.id = id


class ConversationNotFound(NotFound):
    code = "conversation-not-found"
    noun = "conversation"


class MessageNotFound(NotFound):
    code = "message-not-found"
    noun = "message"


class ContactNotFound(NotFound):
    code = "contact-not-found"
    noun = "contact"


class ContactNotErased(NotFound):
    code = "not-erased"
    noun = "erased contact"


class AgentNotFound(NotFound):
    code = "agent-not-found"
    noun = "agent"


class ApiKeyNotFound(NotFound):
    code = "api-key-not-found"
    noun = "API key"


class OrderNotFound(NotFound):
    code = "order-not-found"
    noun = "order"


class RefundNotFound(NotFound):
    code = "refund-not-found"
    noun = "refund"


class SagaNotFound(NotFound):
    code = "saga-not-found"
    noun = "saga"


class EventNotFound(NotFound):
    code = "event-not-found"
    noun = "event"


class TileNotFound(NotFound):
    code = "tile-not-found"
    noun = "tile"


class Conflict(DomainError):
    """The state of the thing does not allow what was asked."""

    code = "conflict"


class ConversationResolved(Conflict):
    code = "conversation-resolved"

    def __init__(self) -> None:
        super().__init__("The conversation is resolved; reopen it or start a new one.")


class MessageAlreadyRecalled(Conflict):
    code = "message-recalled"

    def __init__(self) -> None:
        super().__init__("The message was recalled and can't be changed any more.")


class RefReused(Conflict):
    code = "ref-reused"

    def __init__(self) -> None:
        super().__init__("This ref already names a message with another content; use a new ref.")


class EmailTaken(Conflict):
    code = "email-taken"

    def __init__(self) -> None:
        super().__init__("Another agent has this email address.")


class AgentInactive(Conflict):
    code = "agent-inactive"

    def __init__(self) -> None:
        super().__init__("The agent is deactivated; choose an active one.")


class ContactErased(Conflict):
    code = "contact-erased"

    def __init__(self) -> None:
        super().__init__("The contact was erased; a new session begins a new contact.")


class LegalHold(Conflict):
    """Something must be kept as evidence."""

    code = "legal-hold"

    def __init__(self, conversation_id: str) -> None:
        super().__init__(
            f"The conversation {conversation_id} is under legal hold; lift it before the contact"
            " can be erased."
        )


class OrderKnown(Conflict):
    code = "order-known"

    def __init__(self) -> None:
        super().__init__(
            "The order is registered with another total or currency; an order's total stays."
        )


class OrderBalanceExceeded(Conflict):
    code = "order-balance-exceeded"

    def __init__(self, available: str) -> None:
        super().__init__(
            f"Of the order's total {available} is neither refunded nor reserved; ask for at most"
            " that."
        )


class OrderCancelled(Conflict):
    code = "order-cancelled"

    def __init__(self) -> None:
        super().__init__("The order is cancelled, or is being cancelled.")


class RefundDecided(Conflict):
    code = "refund-decided"

    def __init__(self, status: str) -> None:
        super().__init__(f"The refund is {status}; it was decided before.")


class RefundLimitReached(Conflict):
    code = "refund-limit-reached"

    def __init__(self, left: str) -> None:
        super().__init__(
            f"You may approve {left} more today; ask a colleague or an administrator to approve it."
        )


class SagaNotParked(Conflict):
    code = "saga-not-parked"

    def __init__(self, id: str) -> None:
        super().__init__(f"The saga {id} is not parked: it goes on, or has ended, by itself.")


class SagaActionRefused(Conflict):
    """It could pay twice, or undo what may have happened."""

    code = "saga-action-refused"

    def __init__(self, action: str, reason: str, allowed: list[str]) -> None:
        super().__init__(
            f"A saga that is parked with {reason!r} can't be told {action!r};"
            f" it can: {', '.join(allowed)}."
        )


class OwnAccount(Conflict):
    """Whoever acts stays an administrator, so there is always one."""

    code = "own-account"

    def __init__(self) -> None:
        super().__init__("You can't demote or deactivate yourself; ask another administrator.")


class IdempotencyKeyReused(DomainError):
    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another request; use a new key.")


class Unauthenticated(DomainError):
    """No usable identity came with the request."""

    code = "unauthenticated"

    def __init__(self, detail: str = "Send a valid token in the Authorization header.") -> None:
        super().__init__(detail)


class InvalidCredentials(Unauthenticated):
    code = "invalid-credentials"

    def __init__(self) -> None:
        super().__init__("The email address or the password is wrong.")


class TokenExpired(Unauthenticated):
    code = "token-expired"

    def __init__(self) -> None:
        super().__init__("The token has expired; log in again.")


class Forbidden(DomainError):
    """The identity is known and may not do this."""

    code = "forbidden"

    def __init__(self, detail: str = "Your role does not allow this.") -> None:
        super().__init__(detail)


class SecondPersonNeeded(Forbidden):
    """Four eyes: whoever asked for it does not decide it."""

    code = "second-person-needed"

    def __init__(self) -> None:
        super().__init__("A refund of this amount must be approved by somebody who did not ask it.")
