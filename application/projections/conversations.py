"""Read model `conversations`: the inbox."""

from application.codec import Envelope
from application.projections.records import Changes, ConversationRecord, Keys, Records
from domain.actors import ActorKind
from domain.conversation.conversation import Status
from domain.conversation.events import (
    ConversationAssigned,
    ConversationContactErased,
    ConversationLabelled,
    ConversationOpened,
    ConversationPrioritised,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationUnassigned,
    DeliveryCursorMoved,
    LegalHoldLifted,
    LegalHoldPlaced,
    MessageAccepted,
    ReadCursorMoved,
)

CATEGORY = "conversation"


def keys(envelope: Envelope, found: Keys) -> None:
    """Name the rows that the event may change."""
    found.conversations.add(_id(envelope))


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row; raises KeyError for an event of a conversation that was never opened."""
    id, now_us = _id(envelope), envelope.recorded_us
    event = envelope.event
    if isinstance(event, ConversationOpened):
        row = ConversationRecord(id, event.contact_id, event.identity_verified, now_us, now_us)
        changes.records.conversations[id] = row
        return
    row = changes.records.conversations.get(id) or before.conversations[id]
    changes.records.conversations[id] = row
    match event:
        case MessageAccepted():
            row.last_seq = event.seq
            if not event.private:
                row.last_public_seq = event.seq
            if event.author_kind is ActorKind.VISITOR:
                row.unread_count += 1
                changes.unsent.add((id, event.seq))
        case ReadCursorMoved(reader_kind=kind, seq=seq):
            if kind is ActorKind.VISITOR:
                row.visitor_read_seq = max(row.visitor_read_seq, seq)
            elif seq > row.agent_read_seq:
                row.agent_read_seq = seq
                changes.recount_unread.add(id)
            return
        case DeliveryCursorMoved(reader_kind=kind, seq=seq):
            if kind is ActorKind.VISITOR:
                row.visitor_delivered_seq = max(row.visitor_delivered_seq, seq)
            return
        case ConversationAssigned(assignee_id=assignee_id):
            row.assignee_id = assignee_id
        case ConversationUnassigned():
            row.assignee_id = None
        case ConversationResolved():
            row.status, row.snoozed_until_us = Status.RESOLVED.value, None
        case ConversationReopened():
            row.status, row.snoozed_until_us = Status.OPEN.value, None
        case ConversationSnoozed(until_us=until_us):
            row.status, row.snoozed_until_us = Status.SNOOZED.value, until_us
        case ConversationPrioritised(priority=priority):
            row.priority = priority.value if priority else None
        case ConversationLabelled(added=added, removed=removed):
            row.labels = [label for label in row.labels if label not in removed] + list(added)
        case LegalHoldPlaced(reason=reason):
            row.legal_hold, row.legal_hold_us = reason, now_us
        case LegalHoldLifted():
            row.legal_hold = row.legal_hold_us = None
        case ConversationContactErased():
            changes.forget.add(id)
            for key, said in changes.records.messages.items():
                if key[0] == id:
                    said.content = ""
                    if said.author_kind == ActorKind.VISITOR.value:
                        said.author_name = ""
            for refund in changes.records.refunds.values():
                if refund.conversation_id == id:
                    refund.forget()
    row.updated_us = now_us


def _id(envelope: Envelope) -> str:
    return envelope.stream.partition("-")[2]
