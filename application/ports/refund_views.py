"""The read side of refunds and sagas, a part of `application.ports.views`.

Times are microseconds since 1970 UTC, amounts minor units of their currency.
"""

from typing import TYPE_CHECKING, Protocol

import msgspec

from domain.refund.events import ApprovalRule, RefundLine
from domain.refund.policy import RefundPolicy
from domain.refund.refund import RefundStatus
from domain.saga.state import Saga, Status

if TYPE_CHECKING:
    from application.ports.views import Page


class Person(msgspec.Struct, frozen=True):
    """Who asked or decided."""

    kind: str
    """`agent`, `api_key`, `system`, or `policy`: nobody did."""
    id: str
    name: str


class RefundRow(msgspec.Struct, frozen=True):
    """One refund as it stands."""

    id: str
    status: RefundStatus
    conversation_id: str
    contact_id: str
    order_reference: str
    amount_minor: int
    currency: str
    reason: str
    """Empty once its contact was erased."""
    lines: tuple[RefundLine, ...]
    evidence: tuple[str, ...]
    requested_by: Person
    decided_by: Person | None
    rule: ApprovalRule | None
    rejection_code: str | None
    rejection_reason: str | None
    reference: str | None
    """The payment provider's own id."""
    failure: str | None
    given_up: tuple[str, ...]
    created_at_us: int
    updated_at_us: int
    position: int
    """Of its last event."""
    saga_status: Status | None
    """Of the saga with the refund's id; None: there is none."""
    policy: RefundPolicy
    """Of its currency, as it stands."""


class RefundFilter(msgspec.Struct, frozen=True):
    """Which refunds to list; None: no matter."""

    status: RefundStatus | None = None
    conversation_id: str | None = None
    order_reference: str | None = None


class SagaRow(msgspec.Struct, frozen=True):
    """One saga as it stands."""

    saga: Saga
    started_at_us: int
    updated_at_us: int


class SagaFilter(msgspec.Struct, frozen=True):
    """Which sagas to list; None: no matter."""

    status: Status | None = None
    definition: str | None = None
    conversation_id: str | None = None
    started_until_us: int | None = None
    """Begun then or earlier."""


class RefundViews(Protocol):
    """Every method raises `Unavailable` while the views' database does not answer."""

    async def refunds(
        self, filter: RefundFilter, limit: int, cursor: str | None
    ) -> "Page[RefundRow]":
        """Newest first.

        Raises:
            InvalidInput: the cursor is none of ours.
        """
        ...

    async def refund(self, id: str) -> RefundRow | None:
        """One refund; None: there is none."""
        ...

    async def refunds_by_id(self, ids: list[str]) -> list[RefundRow]:
        """Those of the refunds that exist, in any order."""
        ...

    async def refund_policies(self) -> list[RefundPolicy]:
        """Those that were set, by currency."""
        ...

    async def sagas(self, filter: SagaFilter, limit: int, cursor: str | None) -> "Page[SagaRow]":
        """Oldest first; raises as `refunds`."""
        ...
