"""One sample of every event version that was ever stored; a new version adds, none is changed."""

from domain.access.events import TokenIssued, TokenRevoked
from domain.actors import ActorKind, Role, Scope
from domain.agent.events import (
    AgentDeactivated,
    AgentPasswordSet,
    AgentReactivated,
    AgentRegistered,
    AgentRenamed,
    AgentRoleChanged,
    EmailClaimed,
)
from domain.audit.events import AuditRead
from domain.contact.events import (
    ContactConversationStarted,
    ContactCreated,
    ContactIdentityVerified,
    ContactUpdated,
    SubjectErased,
)
from domain.conversation import events as c
from domain.events import Event
from domain.idempotency.events import RequestCompleted
from domain.message.events import Author, MessageEdited, MessageRecalled, MessageSent
from domain.order.events import (
    OrderAmountPaid,
    OrderAmountReleased,
    OrderAmountReserved,
    OrderCancellationBegan,
    OrderCancellationFailed,
    OrderCancelled,
    OrderPaymentReversed,
    OrderRegistered,
)
from domain.refund.events import (
    ApprovalRule,
    RefundAllowanceUsed,
    RefundApproved,
    RefundCompleted,
    RefundFailed,
    RefundLine,
    RefundPaymentReversed,
    RefundPolicySet,
    RefundRejected,
    RefundRequested,
    RefundSettled,
)
from domain.saga import events as s

NOW_US = 1_700_000_000_000_000
KEY = "refund-01890a5d-ac96-774b-bcce-b302099a8057-payment-1"

SAMPLES: tuple[Event, ...] = (
    c.ConversationOpened("contact-1", "web", True),
    c.MessageAccepted(7, "message-1", ActorKind.VISITOR, False),
    c.ConversationAssigned("agent-1"),
    c.ConversationUnassigned("agent-1"),
    c.ConversationResolved(),
    c.ConversationReopened(c.ReopenCause.TIMER),
    c.ConversationSnoozed(1_700_000_000_000_000),
    c.ConversationPrioritised(c.Priority.HIGH),
    c.ConversationLabelled(("退款", "vip"), ("new",)),
    c.ReadCursorMoved(ActorKind.AGENT, "agent-1", 7),
    c.DeliveryCursorMoved(ActorKind.VISITOR, "contact-1", 7),
    c.LegalHoldPlaced("court order 7"),
    c.LegalHoldLifted(),
    c.ConversationContactErased(),
    MessageSent(
        "conversation-1",
        7,
        Author(ActorKind.VISITOR, "contact-1", "李雷"),
        "包裹在哪里？ Where is my parcel? 📦",
        False,
        "ref-1",
    ),
    MessageEdited("conversation-1", 7, "改过了"),
    MessageRecalled("conversation-1", 7),
    ContactCreated("user-1", "李雷", "lilei@example.cn"),
    ContactUpdated("李雷", None),
    ContactIdentityVerified(),
    ContactConversationStarted("conversation-1", True),
    SubjectErased("asked for it", "agent:agent-1", "0123456789abcdef0123456789abcdef"),
    AgentRegistered("mei@example.cn", "梅", Role.ADMIN),
    AgentPasswordSet("$argon2id$...", True),
    AgentRoleChanged(Role.AUDITOR),
    AgentRenamed("韩梅梅"),
    AgentDeactivated(),
    AgentReactivated(),
    EmailClaimed("agent-1"),
    TokenIssued(ActorKind.API_KEY, "key-1", "erp", None, (Scope.EVENTS_READ,), None),
    TokenRevoked(),
    RequestCompleted("f" * 64, {"message_id": "message-1", "seq": 7}),
    AuditRead("conversations/history", "conversation-1", {"as_of": "42"}),
    RefundRequested(
        "conversation-1",
        "contact-1",
        "A-1001",
        1230,
        "CNY",
        "杯子碎了",
        (RefundLine("cup-7", 2, 1230),),
        ("message-1",),
        "agent:agent-1",
    ),
    RefundApproved(ApprovalRule.FOUR_EYES, "agent:agent-2"),
    RefundRejected("agent:agent-2", "declined", "杯子没碎"),
    RefundSettled("re_7"),
    RefundPaymentReversed("account-closed"),
    RefundFailed("insufficient-balance", ("failure_notice",)),
    RefundCompleted(("notice",)),
    RefundPolicySet("CNY", 5_000, 50_000, 1_000_000),
    RefundAllowanceUsed(20_783, "CNY", 1230, "refund-1"),
    OrderRegistered("A-1001", 9_900, "CNY"),
    OrderAmountReserved("refund-1", 1230),
    OrderAmountReleased("refund-1"),
    OrderAmountPaid("refund-1"),
    OrderPaymentReversed("refund-1"),
    OrderCancellationBegan("cancellation-1"),
    OrderCancelled("cancellation-1"),
    OrderCancellationFailed("cancellation-1"),
    s.SagaStarted("refund", 1, "conversation-1", {"refund_id": "refund-1", "amount_minor": 1230}),
    s.CallIntended(
        "payment", s.Direction.FORWARD, "payment.refund", KEY, 1, '{"amount_minor":1230}', NOW_US
    ),
    s.CallNotExecuted(KEY, 1, "connection-refused", "Nobody listens.", NOW_US),
    s.OutcomeUnknown(KEY, 2, "time-out", "No answer within 10 s.", NOW_US),
    s.CallAccepted(KEY, "re_7", NOW_US, NOW_US),
    s.CallSucceeded(KEY, "re_7", NOW_US),
    s.CallDeclined(KEY, "insufficient-balance", "The balance is too low.", None),
    s.CallReversed(KEY, "account-closed", "The account is closed.", NOW_US),
    s.TimerFired(KEY + "#3", False),
    s.StepOverdue("posting", NOW_US),
    s.StepGivenUp("notice", s.Direction.FORWARD, "conversation-resolved"),
    s.CompensationStarted("payment", "insufficient-balance"),
    s.SagaParked(
        s.ParkReason.OUTCOME_UNKNOWN,
        KEY,
        "deadline-exceeded",
        (s.OperatorAction.RETRY, s.OperatorAction.MARK_SETTLED),
    ),
    s.OperatorActed(s.OperatorAction.MARK_SETTLED, "seen at the bank", "re_7"),
    s.SagaFinished(s.SagaOutcome.COMPLETED, ("notice",)),
)

OLD_SAMPLES: dict[str, Event] = {
    "token.issued.v2": TokenIssued(
        ActorKind.API_KEY, "key-1", "erp", None, (Scope.EVENTS_READ,), None
    ),
    "token.issued.v1": TokenIssued(
        ActorKind.API_KEY, "key-1", "erp", None, (Scope.EVENTS_READ,), None
    ),
}
"""Stored name of a version that is no longer written -> what its golden file reads as today."""
