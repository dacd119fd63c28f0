"""Bodies and answers about refunds, orders and sagas; shapes are made in
`interfaces.refund_shapes`."""

from typing import Annotated, Any

from pydantic import Field

from domain.saga.events import OperatorAction
from interfaces.http.audit_models import Texts, Who
from interfaces.http.models import CONVERSATION_ID, Answer, Body, Meta

_TIME = "2026-11-24T09:30:00.123456Z"
_REFUND_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_KEY = f"refund-{_REFUND_ID}-payment-1"
_Decimal = Annotated[str, Field(max_length=20, examples=["12.30"])]
_Currency = Annotated[str, Field(max_length=3, examples=["CNY"])]
_Reference = Annotated[str, Field(max_length=1_000, examples=["A-1001"])]


class LineBody(Body):
    sku: Annotated[str, Field(max_length=1_000, examples=["cup-7"])]
    quantity: Annotated[int, Field(examples=[1])]
    amount: _Decimal | None = None


class RequestRefundBody(Body):
    order_reference: _Reference
    amount: _Decimal
    currency: _Currency
    reason: Annotated[str, Field(max_length=4_000, examples=["杯子碎了"])]
    lines: Annotated[list[LineBody], Field(max_length=1_000, default_factory=list)]
    evidence: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        Field(
            max_length=1_000,
            description="Ids of messages of the conversation.",
            default_factory=list,
        ),
    ]


class RejectRefundBody(Body):
    reason: Annotated[str, Field(max_length=4_000, examples=["超过退货期"])]


class PolicyBody(Body):
    automatic_up_to: Annotated[
        str, Field(max_length=20, examples=["50.00"], description="0: a person always decides.")
    ]
    four_eyes_above: Annotated[str, Field(max_length=20, examples=["500.00"])]
    agent_daily: Annotated[
        str | None, Field(max_length=20, examples=["10000.00"], description="null: no limit.")
    ] = None


class OrderBody(Body):
    total: _Decimal
    currency: _Currency


class CancelOrderBody(Body):
    conversation_id: Annotated[str, Field(max_length=200, examples=[CONVERSATION_ID])]


class SagaActionBody(Body):
    action: Annotated[OperatorAction, Field(strict=False)]
    reason: Annotated[str, Field(max_length=4_000, description="Kept for ever: name nobody.")]
    reference: Annotated[
        str | None,
        Field(max_length=1_000, description="With mark-settled: the participant's own id of it."),
    ] = None


class Decided(Answer):
    refund_id: str = _REFUND_ID
    status: str = "approved"
    position: int = 42


class PersonAnswer(Answer):
    kind: str = "agent"
    id: str = "0192f3a4-0000-7000-8000-00000000000a"
    name: str = "韩梅梅"


class LineAnswer(Answer):
    sku: str = "cup-7"
    quantity: int = 1
    amount: str | None = "12.30"


class Rejection(Answer):
    code: str = "declined"
    reason: str | None = "超过退货期"


class May(Answer):
    approve: bool = True
    reject: bool = True


class RefundAnswer(Answer):
    id: str = _REFUND_ID
    status: str = "requested"
    conversation_id: str = CONVERSATION_ID
    contact_id: str = "0192f3a4-aaaa-7000-8000-000000000001"
    order_reference: str = "A-1001"
    amount: str = "12.30"
    amount_minor: int = 1230
    currency: str = "CNY"
    reason: str = "杯子碎了"
    lines: list[LineAnswer]
    evidence: list[str]
    requested_by: PersonAnswer = PersonAnswer()
    decided_by: PersonAnswer | None = None
    rule: str | None = None
    rejection: Rejection | None = None
    reference: str | None = None
    failure: str | None = None
    given_up: list[str]
    saga_id: str | None = None
    saga_status: str | None = None
    may: May = May()
    created_at: str = _TIME
    updated_at: str = _TIME
    position: int = 42


class RefundList(Answer):
    data: list[RefundAnswer]
    meta: Meta = Meta()


class PolicyAnswer(Answer):
    currency: str = "CNY"
    automatic_up_to: str = "50.00"
    four_eyes_above: str = "500.00"
    agent_daily: str | None = "10000.00"


class PolicySetAnswer(PolicyAnswer):
    position: int = 42


class PolicyList(Answer):
    data: list[PolicyAnswer]
    meta: Meta = Meta()


class OrderAnswer(Answer):
    reference: str = "A-1001"
    total: str = "99.00"
    total_minor: int = 9900
    currency: str = "CNY"
    reserved: str = "12.30"
    paid: str = "0.00"
    available: str = "86.70"
    cancelled: bool = False
    cancellation_id: str | None = None


class OrderRegisteredAnswer(OrderAnswer):
    position: int = 42


class CancellationAnswer(Answer):
    cancellation_id: str = _REFUND_ID
    status: str = "running"
    position: int = 42


class ParkedAnswer(Answer):
    reason: str = "outcome-unknown"
    detail: str = "deadline-exceeded"
    next_actions: list[str]


class SagaAnswer(Answer):
    id: str = _REFUND_ID
    definition: str = "refund"
    version: int = 1
    status: str = "running"
    step: str | None = "payment"
    attempts: int = 2
    conversation_id: str | None = CONVERSATION_ID
    parked: ParkedAnswer | None = None
    overdue: bool = False
    next_timer_at: str | None = _TIME
    started_at: str = _TIME
    updated_at: str = _TIME
    age_s: int = 7


class SagaList(Answer):
    data: list[SagaAnswer]
    meta: Meta = Meta()


class StepAnswer(Answer):
    name: str = "payment"
    kind: str = "pivot"
    state: str = "running"
    key: str | None = _KEY
    reference: str | None = None
    attempts: int = 2


class Happened(Answer):
    at: str = _TIME
    position: int = 42
    type: str = "saga.call_intended.v1"
    text: Texts = Texts()
    actor: Who = Who()
    data: dict[str, Any]
    """The event's fields."""


class WholeSaga(SagaAnswer):
    steps: list[StepAnswer]
    timeline: list[Happened]


class SagaActed(Answer):
    saga_id: str = _REFUND_ID
    status: str = "running"
    position: int = 42


class DefinedStep(Answer):
    name: str = "inventory"
    operation: str = "erp.authorise_return"
    kind: str = "compensatable"
    undo: str | None = "erp.cancel_return"


class DefinitionAnswer(Answer):
    name: str = "refund"
    version: int = 1
    steps: list[DefinedStep]
    after_failure: list[DefinedStep]
    mermaid: str = "stateDiagram-v2\n"
    svg: str = "<svg></svg>"


class DefinitionList(Answer):
    data: list[DefinitionAnswer]
    meta: Meta = Meta()
