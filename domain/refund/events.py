"""Events of a refund, of the policy for refunds and of an agent's allowance, as stored."""

from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from domain.events import Event

POLICY: Final = "policy"
"""Who decided, where no person did."""


class ApprovalRule(StrEnum):
    """What a refund of an amount needs before it is paid."""

    AUTOMATIC = "automatic"
    ONE_PERSON = "one-person"
    FOUR_EYES = "four-eyes"
    """Somebody else than who asked for it."""


class RefundLine(msgspec.Struct, frozen=True, gc=False):
    """An article of the order that is paid back."""

    sku: str
    quantity: int
    amount_minor: int | None = None


class RefundRequested(Event, frozen=True, tag="refund.requested.v1"):
    personal: ClassVar[tuple[str, ...]] = ("reason",)

    conversation_id: str
    contact_id: str
    order_reference: str
    amount_minor: int
    """In minor units of the currency (ISO 4217)."""
    currency: str
    reason: str
    lines: tuple[RefundLine, ...]
    evidence: tuple[str, ...]
    """Messages of the conversation that it rests on."""
    requested_by: str
    """`agent:ID` or `api_key:ID`."""


class RefundApproved(Event, frozen=True, tag="refund.approved.v1"):
    rule: ApprovalRule
    approved_by: str
    """`agent:ID`; `policy` where the rule is `automatic`."""


class RefundRejected(Event, frozen=True, tag="refund.rejected.v1"):
    personal: ClassVar[tuple[str, ...]] = ("reason",)

    rejected_by: str
    """`agent:ID`, or `policy`."""
    code: str
    """`declined` by a person; `order-balance-exceeded`, `order-cancelled`: by then nothing was
    left."""
    reason: str
    """Empty where the contact was erased before."""

    def personal_fields(self) -> tuple[str, ...]:
        """A person's words; the policy's tell of nobody, and are written of erased contacts too."""
        return self.personal if self.reason and self.rejected_by != POLICY else ()


class RefundSettled(Event, frozen=True, tag="refund.settled.v1"):
    """The money is paid."""

    reference: str
    """The payment provider's own id."""


class RefundPaymentReversed(Event, frozen=True, tag="refund.payment_reversed.v1"):
    """The provider took back what it had reported as paid."""

    code: str


class RefundFailed(Event, frozen=True, tag="refund.failed.v1"):
    """Not paid, and nothing of it is left in other systems, but for what `given_up` names."""

    code: str
    given_up: tuple[str, ...]


class RefundCompleted(Event, frozen=True, tag="refund.completed.v1"):
    """Paid, posted, and the customer told, but for what `given_up` names."""

    given_up: tuple[str, ...]


RefundEvent = (
    RefundRequested
    | RefundApproved
    | RefundRejected
    | RefundSettled
    | RefundPaymentReversed
    | RefundFailed
    | RefundCompleted
)


class RefundPolicySet(Event, frozen=True, tag="refund_policy.set.v1"):
    """How refunds in one currency are decided; amounts in its minor units."""

    currency: str
    automatic_up_to_minor: int
    """Up to here, this included, nobody is asked; 0: somebody always is."""
    four_eyes_above_minor: int
    """Above it somebody else than who asked must approve."""
    agent_daily_minor: int | None
    """What one agent may approve in a day (UTC); None: no limit."""


class RefundAllowanceUsed(Event, frozen=True, tag="refund_allowance.used.v1"):
    """An agent approved a refund, or one that it asked for was approved by the policy."""

    day: int
    """Days since 1970-01-01 UTC."""
    currency: str
    amount_minor: int
    refund_id: str
