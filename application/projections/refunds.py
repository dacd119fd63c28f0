"""Read model `refunds`."""

from application.codec import Envelope
from application.projections.records import Changes, Keys, Records, RefundRecord
from domain.refund.events import (
    RefundApproved,
    RefundCompleted,
    RefundFailed,
    RefundPaymentReversed,
    RefundRejected,
    RefundRequested,
    RefundSettled,
)
from domain.refund.refund import RefundStatus

CATEGORY = "refund"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change."""
    found.refunds.add(_id(envelope))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row; raises KeyError for a change of a refund that nobody asked for."""
    id, now_us = _id(envelope), envelope.recorded_us
    event = envelope.event
    if isinstance(event, RefundRequested):
        changes.records.refunds[id] = RefundRecord(
            id=id,
            status=RefundStatus.REQUESTED.value,
            conversation_id=event.conversation_id,
            contact_id=event.contact_id,
            order_reference=event.order_reference,
            amount_minor=event.amount_minor,
            currency=event.currency,
            reason=event.reason,
            lines=event.lines,
            evidence=list(event.evidence),
            requested_by=event.requested_by,
            created_us=now_us,
            updated_us=now_us,
            position=envelope.position,
        )
        return
    row = changes.records.refunds.get(id) or before.refunds[id]
    changes.records.refunds[id] = row
    match event:
        case RefundApproved(rule=rule, approved_by=by):
            row.status, row.rule, row.decided_by = RefundStatus.APPROVED.value, rule.value, by
        case RefundRejected(rejected_by=by, code=code, reason=reason):
            row.status, row.decided_by = RefundStatus.REJECTED.value, by
            row.rejection_code, row.rejection_reason = code, reason
        case RefundSettled(reference=reference):
            row.status, row.reference = RefundStatus.SETTLED.value, reference
        case RefundPaymentReversed(code=code):
            row.status, row.failure = RefundStatus.REVERSED.value, code
        case RefundFailed(code=code, given_up=given_up):
            row.status, row.failure = RefundStatus.FAILED.value, code
            row.given_up = list(given_up)
        case RefundCompleted(given_up=given_up):
            row.status, row.failure = RefundStatus.COMPLETED.value, None
            row.given_up = list(given_up)
    row.updated_us, row.position = now_us, envelope.position


def _id(envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]
